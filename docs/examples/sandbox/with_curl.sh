#!/bin/sh
# Lists the inbox of a sandbox with curl: with_curl.sh /tmp/sandbox dispatch@example.org
set -eu
directory=$1 address=$2
told() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$directory/sandbox.json" "$1"; }
ca=$(told ca_file)

token=$(curl --fail --silent --show-error --noproxy '*' --cacert "$ca" "$(told authority_url)/oauth2/v2.0/token" \
  --data grant_type=client_credentials --data "client_id=$(told client_id)" \
  --data-urlencode "client_secret=$(told client_secret)" \
  --data-urlencode scope=https://outlook.office365.com/.default |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')

curl --fail --silent --show-error --noproxy '*' --cacert "$ca" "$(told ews_url)" \
  --header "Authorization: Bearer $token" --header "X-AnchorMailbox: $address" \
  --header 'Content-Type: text/xml; charset=utf-8' --data-binary @- <<XML
<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
  xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
  xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">
  <s:Header>
    <t:RequestServerVersion Version="Exchange2013_SP1"/>
    <t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>$address</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>
  </s:Header>
  <s:Body><m:FindItem Traversal="Shallow">
    <m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>
    <m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds>
  </m:FindItem></s:Body>
</s:Envelope>
XML
