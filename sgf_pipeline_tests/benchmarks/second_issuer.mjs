// The certified OpenID provider of npm (oidc-provider) with one client and one key: `node second_issuer.mjs PORT ALG`,
// in a folder where it is installed. Driven by second_issuer.py.
import { generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";

const { Provider } = await import(createRequire(`${process.cwd()}/`).resolve("oidc-provider"));
const [port, alg] = process.argv.slice(2);
const pair = alg === "ES256" ? ["ec", { namedCurve: "P-256" }] : ["rsa", { modulusLength: 2048 }];
const jwk = { ...generateKeyPairSync(...pair).privateKey.export({ format: "jwk" }), use: "sig" };
const scope = "sgf:preview sgf:generate sgf:read";

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "acme_robot", client_secret: "a secret that is long enough for anyone", grant_types: ["client_credentials"],
    redirect_uris: [], response_types: [], id_token_signed_response_alg: alg,
  }],
  jwks: { keys: [jwk] },
  enabledJWA: { idTokenSigningAlgValues: [alg] },
  extraTokenClaims: () => ({ sgf_tenant: "acme" }),
  ttl: { ClientCredentials: 300 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "https://sgf.example",
      getResourceServerInfo: (_, resource) => ({ scope, audience: resource, accessTokenFormat: "jwt", jwt: { sign: { alg } } }),
    },
  },
});
provider.listen(Number(port), "127.0.0.1");
