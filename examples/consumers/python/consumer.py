"""Gets and keeps the access token of a Custom::CognitoM2M client, with boto3 and the standard library.

    tokens = TokenSource("arn:aws:secretsmanager:…")  # the secret's ARN or its name
    headers = {"Authorization": f"Bearer {tokens.token()}"}

Needs secretsmanager:GetSecretValue on the secret. As a program it GETs URLs with the token: each line of the standard
input holds URLs to call at once.

    echo https://api.example.com/orders | python3 consumer.py orders-api-dev/reporting
"""

import base64
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import BotoCoreError, ClientError

EARLY = 60  # seconds: a token is not used in its last minute, for clocks differ and calls take time
SECRET_AGE = 24 * 60 * 60  # seconds after which the secret is read again, though nobody has refused it
TIMEOUT = 10  # seconds for one request
GET_CLIENT_TOKEN = "AWSCognitoIdentityProviderService.GetClientToken"


class TokenError(Exception):
    """There is no token. Says why, and holds no secret."""


class TokenSource:
    """The token of one client. Threads may share it."""

    def __init__(self, secret_id, secrets_manager=None):
        self._secret_id = secret_id
        self._secrets_manager = secrets_manager or boto3.client("secretsmanager")
        self._lock = threading.Lock()
        self._token, self._token_until = None, 0.0
        self._secret, self._secret_until = None, 0.0

    def token(self):
        """A token that is good for another minute at least."""
        # One thread asks for a token and the others wait for it: Cognito bills each token. The wall clock, and not a
        # monotonic one, because it goes on while a computer sleeps or a Lambda function is frozen.
        with self._lock:
            now = time.time()
            if now >= self._token_until:
                answer = self._renew(now)
                self._token, self._token_until = answer["access_token"], now + answer["expires_in"] - EARLY
            return self._token

    def _renew(self, now):
        if now < self._secret_until:
            try:
                return self._request()
            except TokenError:
                pass  # The secret may have been rotated since it was read, or the endpoint changed: read it again.
        value = self._secrets_manager.get_secret_value(SecretId=self._secret_id)["SecretString"]
        self._secret, self._secret_until = json.loads(value), now + SECRET_AGE
        return self._request()

    def _request(self):
        # No scope is asked for, so the token has all of the client's.
        endpoint, client = self._secret["token_endpoint"], self._secret["client_id"]
        by_api = self._secret.get("token_service") == "GetClientToken"
        if by_api:
            # A public operation of Cognito's API: it needs no signature.
            body = json.dumps({"ClientId": client, "Secret": self._secret["client_secret"]}).encode()
            headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": GET_CLIENT_TOKEN}
        else:
            body = b"grant_type=client_credentials"
            credentials = base64.b64encode(f"{client}:{self._secret['client_secret']}".encode()).decode()
            headers = {"Authorization": f"Basic {credentials}"}
        try:
            with urllib.request.urlopen(urllib.request.Request(endpoint, body, headers), timeout=TIMEOUT) as response:
                answer = json.load(response)
            if not by_api:
                return answer
            result = answer["ClientAuthenticationResult"]
            return {"access_token": result["AccessToken"], "expires_in": result["ExpiresIn"]}
        except urllib.error.HTTPError as error:
            raise TokenError(f"{endpoint} answered {error.code} {reason(error)}") from None
        except (OSError, ValueError, KeyError) as error:
            raise TokenError(f"{endpoint} gave no answer: {error}") from None


def reason(error):
    """The service's word for what is wrong, such as invalid_client or NotAuthorizedException."""
    try:
        answer = json.load(error)
        return answer.get("error") or answer["__type"]
    except (OSError, ValueError, KeyError, AttributeError):
        return error.reason


def main():
    tokens = TokenSource(sys.argv[1])

    def call(url):
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {tokens.token()}"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                return f"{answer.status} {url}"
        except urllib.error.HTTPError as error:
            return f"{error.code} {url}"

    with ThreadPoolExecutor() as pool:
        for line in sys.stdin:
            for result in pool.map(call, line.split()):
                print(result, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (TokenError, BotoCoreError, ClientError) as error:
        sys.exit(f"consumer.py: {error}")
