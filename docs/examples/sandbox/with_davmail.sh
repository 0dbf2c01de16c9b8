#!/bin/sh
# IMAP and SMTP on a sandbox started with --on-premises, by DavMail (Debian: davmail-server, a Java runtime), until Ctrl-C:
#   with_davmail.sh /tmp/sandbox 1143 1025
# Sign in with the username and password that sandbox.json has for a mailbox.
set -eu
sandbox=$1 imap_port=$2 smtp_port=$3
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
told() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$sandbox/sandbox.json" "$1"; }

# Java trusts what is in a store of its own.
keytool -importcert -noprompt -alias sandbox -file "$(told ca_file)" \
  -keystore "$directory/trust.p12" -storetype PKCS12 -storepass sandbox 2>"$directory/keytool"

cat >"$directory/davmail.properties" <<PROPERTIES
davmail.server=true
davmail.mode=EWS
davmail.url=$(told ews_url)
davmail.bindAddress=127.0.0.1
davmail.allowRemote=false
davmail.imapPort=$imap_port
davmail.smtpPort=$smtp_port
davmail.popPort=
davmail.ldapPort=
davmail.caldavPort=
davmail.disableUpdateCheck=true
davmail.enableProxy=false
davmail.useSystemProxies=false
davmail.enableKerberos=false
davmail.smtpSaveInSent=true
davmail.logFilePath=$directory/davmail.log
PROPERTIES

java -Djavax.net.ssl.trustStore="$directory/trust.p12" -Djavax.net.ssl.trustStoreType=PKCS12 \
  -Djavax.net.ssl.trustStorePassword=sandbox -Duser.home="$directory" \
  --add-exports java.base/sun.net.www.protocol.https=ALL-UNNAMED \
  -jar /usr/share/davmail/davmail.jar -server "$directory/davmail.properties" &
java=$!
trap 'kill $java; rm -rf "$directory"' EXIT
wait $java
