// MQTT.js, unchanged, told what to do: one JSON object a line comes in, one goes out, in the same order.
// Each names a client ("on") and what it shall do ("do"); the answer is the value, or {error, code}.
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { createInterface } from "node:readline";
import mqtt from "mqtt";

const PATIENCE = 20_000; // milliseconds
const clients = new Map();

// The outcome of `start(done)`, which calls done(error, value) once.
function outcome(start) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ error: "nothing has happened" }), PATIENCE);
    start((error, value) => {
      clearTimeout(timer);
      const code = error?.code ?? error?.packet?.granted?.[0]; // a refused subscription brings its SUBACK
      resolve(error ? { error: error.message, code: code ?? null } : value ?? {});
    });
  });
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// OAUTH2-POP: the nonce, signed with the key that the token is bound to.
function proof(pem, nonce, clientId, token) {
  const key = createPrivateKey(pem);
  const { kty, crv, x, y } = createPublicKey(key).export({ format: "jwk" });
  const ath = createHash("sha256").update(token).digest("base64url");
  const signed = [
    base64url({ typ: "mqtt-pop+jwt", alg: "ES256", jwk: { kty, crv, x, y } }),
    base64url({ nonce, client_id: clientId, ath }),
  ].join(".");
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

class Client {
  constructor({ url, options = {}, method, data, key }) {
    this.messages = [];
    this.challenges = [];
    this.readers = [];
    this.over = null;
    this.key = key;
    this.method = method;
    this.data = data;
    const properties = method && { authenticationMethod: method, authenticationData: Buffer.from(data) };
    this.mqtt = mqtt.connect(url, { reconnectPeriod: 0, ...options, ...(properties && { properties }) });
    this.mqtt.handleAuth = (packet, answer) => this.authenticate(packet, answer);
    this.mqtt.on("error", (error) => this.end(error));
    this.mqtt.on("disconnect", (packet) => this.end({ message: "disconnected", code: packet.reasonCode }));
    this.mqtt.on("close", () => this.end({ message: "closed" }));
    this.mqtt.on("message", (topic, payload, packet) => {
      const { qos, retain, properties: more } = packet;
      this.messages.push({ topic, payload: payload.toString(), qos, retain, type: more?.contentType ?? null });
      this.readers.shift()?.();
    });
  }

  // The connection's first reason to end is the one that counts.
  end(error) {
    this.over ??= error;
    this.waiting?.(this.over);
  }

  authenticate(packet, answer) {
    const said = packet.properties?.authenticationData?.toString() ?? "";
    if (packet.reasonCode === 0) {
      answer(null);
      this.waiting?.(null, { code: 0 });
      return;
    }
    this.challenges.push(said);
    const reply = this.key ? proof(this.key, said, this.mqtt.options.clientId, this.data) : "\x01";
    answer(null, this.auth(0x18, reply));
  }

  auth(reasonCode, data) {
    return {
      cmd: "auth",
      reasonCode,
      properties: { authenticationMethod: this.method, authenticationData: Buffer.from(data) },
    };
  }

  // Until done(error, value); the end of the connection is an error, too.
  until(start) {
    return outcome((done) => {
      this.waiting = done;
      if (this.over) done(this.over);
      start(done);
    });
  }

  connected() {
    return this.until((done) =>
      this.mqtt.once("connect", (packet) =>
        done(null, { present: packet.sessionPresent, method: packet.properties?.authenticationMethod ?? null }),
      ),
    ).then((found) => ({ ...found, challenges: this.challenges }));
  }

  publish({ topic, payload, options }) {
    return outcome((done) => this.mqtt.publish(topic, payload, options, (error) => done(error)));
  }

  subscribe({ filter, options }) {
    return outcome((done) => this.mqtt.subscribe(filter, options, (error, granted) => done(error, { granted })));
  }

  receive() {
    return outcome((done) => {
      const give = () => done(null, this.messages.shift());
      this.messages.length ? give() : this.readers.push(give);
    });
  }

  // MQTT.js has no public way to begin a re-authentication.
  reauthenticate({ data }) {
    this.data = data;
    return this.until(() => this.mqtt._sendPacket(this.auth(0x19, data)));
  }

  ended() {
    return this.until(() => {});
  }

  close() {
    return outcome((done) => this.mqtt.end(true, () => done(null)));
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { on, do: what, ...more } = JSON.parse(line);
  if (what === "connect") clients.set(on, new Client(more));
  const client = clients.get(on);
  const answer = what === "connect" ? await client.connected() : await client[what](more);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
