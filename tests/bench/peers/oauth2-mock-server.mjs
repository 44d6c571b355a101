// npm oauth2-mock-server with an ES256 key.  It checks no client secret and knows no clients: it does less
// work for a token than the others.
// Prints one line of JSON with the token endpoint; ends when its standard input does.
import { OAuth2Server } from 'oauth2-mock-server';

const server = new OAuth2Server();
await server.issuer.keys.generate('ES256');
await server.start(0, '127.0.0.1');
const { port } = server.address();
console.log(JSON.stringify({ token_endpoint: `http://127.0.0.1:${port}/token`, runtime: `Node ${process.version}` }));
process.stdin.resume().on('end', () => process.exit(0));
