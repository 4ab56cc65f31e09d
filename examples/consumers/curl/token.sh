#!/usr/bin/env bash
# Gets and keeps the access token of a Custom::CognitoM2M client, with the AWS CLI, jq and curl (7.76 or newer).
#
#   . token.sh
#   curl --header @<(m2m_header arn:aws:secretsmanager:…) https://api.example.com/orders
#
# Needs secretsmanager:GetSecretValue on the secret. Takes the secret's name too; the token is kept under what you give,
# so give the ARN where you work in more than one account or region.
#
# As a program it GETs URLs with the token: each line of the standard input holds URLs to call at once.
#
#   echo https://api.example.com/orders | ./token.sh orders-api-dev/reporting

# Prints a token that is good for another minute at least. It is kept in a file that only its owner can read; the client
# secret is kept nowhere. It is read for each new token, so a rotation needs no second try and a secret is never old.
m2m_token() ( # in a shell of its own: its settings and its lock end with it
  set -o pipefail
  umask 077
  directory=${XDG_RUNTIME_DIR:-${XDG_CACHE_HOME:-${HOME:?}/.cache}}/cognito-m2m
  file=$directory/$(jq --null-input --raw-output --arg id "$1" '$id | @uri') && mkdir -p "$directory" || exit

  # One process asks for a token and the others wait for it, where there is flock: Cognito bills each token.
  exec 9>"$file.lock" || exit
  if command -v flock >/dev/null; then flock 9; fi

  now=$(date +%s)
  if { read -r until token <"$file"; } 2>/dev/null && ((now < until)); then
    printf '%s\n' "$token"
    exit
  fi
  # The pipe keeps the client secret off the screen, off the disk and out of the process list.
  answer=$(
    aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text |
      jq -r '"url = \"\(.token_endpoint)\"", if .token_service == "GetClientToken" then
          # A public operation of the API of Cognito: it needs no signature.
          "header = \"X-Amz-Target: AWSCognitoIdentityProviderService.GetClientToken\"",
          "header = \"Content-Type: application/x-amz-json-1.1\"",
          "data = \({ ClientId: .client_id, Secret: .client_secret } | tojson | tojson)"
        else
          "user = \"\(.client_id):\(.client_secret)\"", "data = \"grant_type=client_credentials\""
        end' |
      curl --silent --show-error --fail-with-body --max-time 10 --config -
  ) || {
    printf 'token.sh: no token for %s %s\n' "$1" "$(jq -r '.error? // .__type? // empty' <<<"$answer" 2>/dev/null)" >&2
    exit 1
  }
  # A token is not used in its last minute, because clocks differ and calls take time. The new file takes the old one's
  # place at once, so nobody reads half of it.
  printf '%s' "$answer" |
    jq -r --argjson now "$now" '
      (.ClientAuthenticationResult // { AccessToken: .access_token, ExpiresIn: .expires_in })
      | "\($now + .ExpiresIn - 60) \(.AccessToken)"' >"$file.new" &&
    mv "$file.new" "$file" &&
    read -r until token <"$file" &&
    printf '%s\n' "$token"
)

# Prints the header, for curl's `--header @<(…)`: everybody can see a program's arguments in the process list.
m2m_header() {
  local token
  token=$(m2m_token "$1") && printf 'Authorization: Bearer %s\n' "$token"
}

m2m_get() {
  local header
  header=$(m2m_header "$1") &&
    curl --silent --show-error --output /dev/null --write-out '%{http_code} %{url_effective}\n' --max-time 10 \
      --header @<(printf '%s\n' "$header") "$2"
}

m2m_main() {
  local urls url calls call status=0
  while read -ra urls || ((${#urls[@]} > 0)); do # also a last line that has no end
    calls=()
    for url in "${urls[@]}"; do
      m2m_get "$1" "$url" &
      calls+=($!)
    done
    for call in "${calls[@]}"; do wait "$call" || status=1; done
    ((status == 0)) || return
  done
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then m2m_main "$@"; fi
