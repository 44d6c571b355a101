// npm oidc-provider, set up to do the same work as labkit: one client with a secret, client_credentials,
// a JWT access token for one audience (resource indicator), signed with ES256, in-memory adapter.
// Usage: node oidc-provider.mjs '{"client_id": …, "client_secret": …, "audience": …, "scope": …}'
// Prints one line of JSON with the token endpoint; ends when its standard input does.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const wanted = JSON.parse(process.argv[2]);
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = { ...privateKey.export({ format: 'jwk' }), kid: 'bench', alg: 'ES256', use: 'sig' };

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    scopes: wanted.scope.split(' '),
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    clients: [{
      client_id: wanted.client_id,
      client_secret: wanted.client_secret,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    }],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => wanted.audience,
        getResourceServerInfo: () => ({
          audience: wanted.audience,
          scope: wanted.scope,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(JSON.stringify({ token_endpoint: `${issuer}/token`, runtime: `Node ${process.version}` }));
});
process.stdin.resume().on('end', () => process.exit(0));
