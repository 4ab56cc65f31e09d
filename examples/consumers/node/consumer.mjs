// Gets and keeps the access token of a Custom::CognitoM2M client, with the AWS SDK and Node's own fetch.
//
//     const tokens = new TokenSource("arn:aws:secretsmanager:…"); // the secret's ARN or its name
//     const headers = { authorization: `Bearer ${await tokens.token()}` };
//
// Needs secretsmanager:GetSecretValue on the secret. As a program it GETs URLs with the token: each line of the
// standard input holds URLs to call at once.
//
//     echo https://api.example.com/orders | node consumer.mjs orders-api-dev/reporting

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

const EARLY = 60_000; // ms: a token is not used in its last minute, for clocks differ and calls take time
const SECRET_AGE = 24 * 60 * 60_000; // ms after which the secret is read again, though nobody has refused it
const TIMEOUT = 10_000; // ms for one request
const GET_CLIENT_TOKEN = "AWSCognitoIdentityProviderService.GetClientToken";

/** There is no token. Says why, and holds no secret. */
export class TokenError extends Error {}

/** The token of one client. */
export class TokenSource {
  #secretId;
  #secretsManager;
  #secret;
  #secretUntil = 0;
  #token;
  #tokenUntil = 0;
  #renewal;

  constructor(secretId, secretsManager = new SecretsManagerClient()) {
    this.#secretId = secretId;
    this.#secretsManager = secretsManager;
  }

  /** A token that is good for another minute at least. */
  async token() {
    if (Date.now() < this.#tokenUntil) return this.#token;
    // Whoever comes while a token is being asked for waits for that one: Cognito bills each token.
    this.#renewal ??= this.#renew(Date.now()).finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  async #renew(now) {
    const answer = await this.#answer(now);
    this.#token = answer.access_token;
    this.#tokenUntil = now + answer.expires_in * 1000 - EARLY;
    return this.#token;
  }

  async #answer(now) {
    if (now < this.#secretUntil) {
      try {
        return await this.#request();
      } catch (error) {
        // The secret may have been rotated since it was read, or the endpoint changed: read it again.
        if (!(error instanceof TokenError)) throw error;
      }
    }
    const { SecretString } = await this.#secretsManager.send(new GetSecretValueCommand({ SecretId: this.#secretId }));
    this.#secret = JSON.parse(SecretString);
    this.#secretUntil = now + SECRET_AGE;
    return this.#request();
  }

  async #request() {
    const { client_id, client_secret, token_service, token_endpoint } = this.#secret;
    const byApi = token_service === "GetClientToken"; // a public operation of Cognito's API: it needs no signature
    // No scope is asked for, so the token has all of the client's.
    const ask = byApi
      ? {
          headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": GET_CLIENT_TOKEN },
          body: JSON.stringify({ ClientId: client_id, Secret: client_secret }),
        }
      : {
          headers: { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}` },
          body: new URLSearchParams({ grant_type: "client_credentials" }),
        };
    let response, answer;
    try {
      response = await fetch(token_endpoint, {
        method: "POST",
        ...ask,
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT),
      });
      answer = await response.json();
    } catch (error) {
      throw new TokenError(`${token_endpoint} gave no token: ${response?.status ?? error.cause?.code ?? error.name}`);
    }
    if (!response.ok) {
      throw new TokenError(`${token_endpoint} answered ${response.status} ${answer.error ?? answer.__type}`);
    }
    if (!byApi) return answer;
    const { AccessToken, ExpiresIn } = answer.ClientAuthenticationResult;
    return { access_token: AccessToken, expires_in: ExpiresIn };
  }
}

async function main() {
  const tokens = new TokenSource(process.argv[2]);
  const call = async (url) => {
    const headers = { authorization: `Bearer ${await tokens.token()}` };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT) });
    return `${response.status} ${url}`;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const urls = line.split(/\s+/).filter(Boolean);
    for (const result of await Promise.all(urls.map(call))) console.log(result);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  main().catch((error) => {
    console.error(`consumer.mjs: ${error.message}`);
    process.exit(1);
  });
}
