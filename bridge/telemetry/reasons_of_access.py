"""What can be wrong on the way to Entra and Exchange: one entry for each code, in words, with the fix."""

from __future__ import annotations

from typing import Final

from bridge.telemetry.reason_entry import entry

_OVERVIEW: Final = "Entra admin center > App registrations > the app > Overview"
_SECRETS: Final = "Entra admin center > App registrations > the app > Certificates & secrets"

NETWORK: Final[dict[str, tuple[str, str]]] = {
    "name_unresolved": entry(
        "the host's name cannot be resolved",
        "check the host's name in the configuration, and this machine's DNS: getent hosts HOST",
    ),
    "host_unreachable": entry(
        "nothing answers at the host's address and port",
        "check that it runs, the port, and that firewalls let this machine out to it",
    ),
    "tls_untrusted": entry(
        "the host shows a certificate of a CA that is not trusted here",
        "give that CA's certificate (PEM) as ca_file in this section; if a proxy opens TLS on the way, it is the "
        "proxy's CA; verification cannot be turned off",
    ),
    "tls_certificate_expired": entry(
        "the host shows a certificate that has expired",
        "renew the certificate on that host; for a host of Microsoft's, look at this machine's clock and at what "
        "stands in between",
    ),
    "tls_certificate_not_yet_valid": entry(
        "the host's certificate is not valid yet",
        "set this machine's clock (timedatectl set-ntp true); if it is right, the certificate on that host is wrong",
    ),
    "tls_wrong_host": entry(
        "the host shows a certificate for another name",
        "write the URL with a name that the certificate bears, or have a certificate made for this name",
    ),
    "tls_failed": entry(
        "the TLS handshake failed before the host showed a certificate",
        "check that this is a port for TLS 1.2 or later (RabbitMQ: 5671 for amqps://; 5672 is for amqp://), and what "
        "stands in between",
    ),
    "ca_file_unusable": entry(
        "ca_file cannot be read, or holds no CA certificate",
        "give a PEM file with CA certificates that this user may read",
    ),
    "descriptors_exhausted": entry(
        "this process or this machine has no file descriptors left",
        "raise the limit (LimitNOFILE= of the service, ulimit -n; fs.file-max of the machine), and look what holds "
        "them: ls -l /proc/PID/fd",
    ),
    "proxy_failed": entry(
        "the proxy of the environment does not connect to the host",
        "correct HTTPS_PROXY, allow the host and port on the proxy, or put the host into NO_PROXY",
    ),
    "page_instead_of_answer": entry(
        "a web page came instead of an answer: a login page of the network, a filtering proxy, or another "
        "server at this address",
        "look at it from this machine: curl -v URL; have the network and the proxy let the host through without a "
        "login; check ews.url or entra.authority_url",
    ),
}

ENTRA: Final[dict[str, tuple[str, str]]] = {
    "tenant_unknown": entry(
        "Entra knows no such tenant in this cloud",
        f"copy the Directory (tenant) ID from {_OVERVIEW} into tenant_id; for a national cloud set entra.cloud",
    ),
    "ids_swapped": entry(
        "tenant_id and client_id are swapped",
        f"swap them; {_OVERVIEW} shows both: Directory (tenant) ID and Application (client) ID",
    ),
    "cloud_wrong": entry(
        "the tenant lives in another of Microsoft's clouds",
        "set entra.cloud to the one that is named here",
    ),
    "app_unknown": entry(
        "the tenant has no app with this client_id",
        f"copy the Application (client) ID from {_OVERVIEW} into client_id (not the Object ID), and look whether "
        "tenant_id is the tenant of that app",
    ),
    "app_disabled": entry(
        "the app is disabled in Entra",
        "Entra admin center > Enterprise applications > the app > Properties > Enabled for users to sign-in: Yes",
    ),
    "secret_wrong": entry(
        "Entra does not know this client secret: it is mistyped, cut off, deleted, or of another app",
        f"{_SECRETS} > New client secret, copy its Value at once (it is shown once), put it into client_secret_file",
    ),
    "secret_id_given": entry(
        "the client secret is a secret's ID, not its value",
        f"{_SECRETS}: use the column Value, not Secret ID; a Value that was not copied when the secret was made "
        "cannot be shown again: make a new secret",
    ),
    "secret_expired": entry(
        "the client secret has expired",
        f"{_SECRETS} > New client secret, put its Value into client_secret_file: it is taken up without a restart",
    ),
    "secret_unreadable": entry(
        "the file of the client secret is missing, empty or not readable",
        "put the secret's Value into client_secret_file, readable by the user that runs the bridge; it is taken up "
        "without a restart",
    ),
    "certificate_mismatch": entry(
        "the certificate is not among those that are registered for the app, or its key is another one's",
        f"{_SECRETS} > Certificates > Upload certificate (the .cer or .pem without the key), and compare the "
        "thumbprint",
    ),
    "certificate_expired": entry(
        "the app's certificate has expired",
        f"make a new certificate, {_SECRETS} > Certificates > Upload certificate, then replace certificate_file",
    ),
    "certificate_not_yet_valid": entry(
        "the app's certificate is not valid yet",
        "set this machine's clock (timedatectl set-ntp true), or wait until the certificate begins",
    ),
    "certificate_unusable": entry(
        "the app's certificate or its key cannot be read or used",
        "give certificate_file a PEM with certificate and key, or a PFX with the right certificate_passphrase_file",
    ),
    "clock_skew": entry(
        "this machine's clock is wrong: it differs from the other side's by minutes",
        "timedatectl set-ntp true (or chronyc makestep); in a virtual machine, let the host keep its time",
    ),
    "time_unknown": entry(
        "the current time is unknown, so requests with expires_at wait and nothing is deleted by age",
        "look for a proxy that leaves the Date header out of the answers of Exchange and Entra",
    ),
    "clocks_disagree": entry(
        "answers of Exchange and Entra tell times that differ; requests whose expires_at lies in between wait",
        "set the clocks of the Exchange servers, and look for a proxy with a cache, or one that writes its own Date",
    ),
    "federation_mismatch": entry(
        "the federated token is not one that the app trusts: its issuer, subject or audience differs",
        f"{_SECRETS} > Federated credentials: Issuer, Subject identifier (system:serviceaccount:NAMESPACE:NAME) and "
        "Audience (api://AzureADTokenExchange) must be those of the token, letter by letter",
    ),
    "federated_token_unusable": entry(
        "the federated token is missing, expired, or no token",
        "look at the pod: the label azure.workload.identity/use, its service account, and the projected token at "
        "federated_token_file",
    ),
    "managed_identity_unknown": entry(
        "this machine or service has no such managed identity",
        "Azure portal > the machine or service > Identity: switch System assigned on, or assign the user-assigned "
        "one whose client ID is managed_identity_client_id",
    ),
    "managed_identity_unavailable": entry(
        "the machine's metadata endpoint gives no token",
        "look whether this runs on an Azure machine or service, and whether a firewall or proxy keeps "
        "169.254.169.254 from it",
    ),
    "scope_refused": entry(
        "Entra gives no token for Exchange here: the resource or scope is unknown to the tenant",
        "set entra.cloud to the tenant's cloud and leave entra.scope out; a tenant without Exchange Online has none",
    ),
    "access_policy_refused": entry(
        "a Conditional Access policy refuses the app",
        "Entra admin center > Protection > Conditional Access: find the policy in the sign-in logs (Service "
        "principal sign-ins) and exclude the app, or come from an allowed address",
    ),
    "credential_expires_soon": entry(
        "the app's credential expires soon",
        f"renew it before that day: {_SECRETS}; a new secret or certificate may be valid beside the old one",
    ),
    "token_audience_wrong": entry(
        "the token is for another service than Exchange",
        "leave entra.scope out, or set it to the host of ews.url with /.default; check entra.cloud",
    ),
    "token_tenant_wrong": entry(
        "the token comes from another tenant than the mailbox's",
        "tenant_id must be the tenant of the mailboxes; an app of another tenant cannot be used",
    ),
    "token_role_wrong": entry(
        "the app's permissions in Entra are none for EWS",
        "for RBAC for Applications: New-ManagementRoleAssignment -App <client_id> -Role 'Application "
        "EWS.AccessAsApp' -CustomResourceScope SCOPE; or Entra admin center > API permissions > Office 365 "
        "Exchange Online > Application permissions > full_access_as_app, then Grant admin consent",
    ),
    "app_without_role": entry(
        "Exchange takes no token of this app: the app has no role there, or it has not arrived yet",
        "Exchange Online PowerShell: New-ServicePrincipal -AppId <client_id> -ObjectId (the enterprise "
        "application's), New-ManagementScope, New-ManagementRoleAssignment -App <client_id> -Role 'Application "
        "EWS.AccessAsApp' -CustomResourceScope SCOPE; a change takes 30 minutes to 2 hours to arrive",
    ),
    "login_refused": entry(
        "Exchange refuses the name and the password",
        "check username and password of the mailbox (DOMAIN\\user or user@domain), and that the server's EWS "
        "virtual directory allows ews.auth: Get-WebServicesVirtualDirectory | fl *Auth*",
    ),
}

EXCHANGE: Final[dict[str, tuple[str, str]]] = {
    "ews_disabled": entry(
        "EWS is switched off for the whole tenant or for this mailbox",
        "Exchange Online PowerShell: Set-OrganizationConfig -EwsEnabled $true and Set-CASMailbox MAILBOX "
        "-EwsEnabled $true, both must allow; then the app's id must be in EwsAllowedAppIDs (see ews_blocked); up "
        "to 24 hours. EWS in Exchange Online ends on 1 April 2027 in any case",
    ),
    "ews_blocked": entry(
        "EWS is blocked by policy: the app is not on the tenant's list, or the list of user agents keeps it out",
        "Exchange Online PowerShell: (Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy).EwsAllowedAppIDs, "
        'then Set-OrganizationConfig -EwsAllowedAppIDs "IDS_THERE,<client_id>" (it replaces the whole list); look '
        "at EwsApplicationAccessPolicy as well; up to 24 hours. EWS in Exchange Online ends on 1 April 2027 in any "
        "case",
    ),
    "ews_ends": entry(
        "EWS in Exchange Online ends on 1 April 2027, for every tenant",
        "plan the change to the transport graph before that day; on Exchange Server EWS stays",
    ),
    "mailbox_not_found": entry(
        "Exchange knows no such mailbox",
        "give the mailbox's primary SMTP address: Get-Mailbox MAILBOX | fl PrimarySmtpAddress,RecipientTypeDetails",
    ),
    "impersonation_denied": entry(
        "the app may not open this mailbox: it is outside the scope of its role, or the change has not arrived yet",
        "Exchange Online PowerShell: Test-ServicePrincipalAuthorization -Identity <client_id> -Resource MAILBOX "
        "must say InScope True; else put the mailbox into the management scope (direct members only); 30 minutes "
        "to 2 hours. On Exchange Server: New-ManagementRoleAssignment -Role ApplicationImpersonation -User ACCOUNT "
        "-CustomRecipientWriteScope SCOPE",
    ),
    "mailbox_access_denied": entry(
        "the app or account may not open this mailbox, or not do this in it",
        "give the app its role for this mailbox, or the account full access: Add-MailboxPermission MAILBOX -User "
        "ACCOUNT -AccessRights FullAccess; a change takes up to two hours. A service account that acts as its "
        "mailboxes needs impersonate = true in the section ews",
    ),
    "ews_call_refused": entry(
        "Exchange refuses a call that the bridge needs, for good: the server cannot do it, or the bridge asks wrongly",
        "report it with Exchange's code; network and rights are well. An EWS server other than Exchange may lack the "
        "operation",
    ),
    "exchange_code_unknown": entry(
        "Exchange answers with a response code that this release does not know; it is tried again",
        "report it with the code; look at Exchange's service health meanwhile",
    ),
    "mailbox_not_proved": entry(
        "the server does not show that what it opens is the mailbox of this address: nothing is done in it",
        "check the mailbox's address, and set impersonate = true in the section ews for a service account; a server "
        "that opens the login's own mailbox whichever is named cannot be used",
    ),
    "mailbox_configured_twice": entry(
        "two configured mailboxes are one and the same: this one is left alone, the one before it goes on",
        "remove one of the two: their addresses belong to one mailbox",
    ),
    "folder_not_found": entry(
        "a configured folder does not exist",
        "make it in the mailbox, or mend folders and after_publish (names are those that Outlook shows)",
    ),
    "folders_conflict": entry(
        "folders and after_publish do not go together: mails would be published again and again",
        "mend folders and after_publish of the mailbox: one folder may have several names (inbox, Inbox/, its name in "
        "Outlook), and Bridge Sends and Bridge Parked are the bridge's own",
    ),
    "scope_too_wide": entry(
        "the app opens a mailbox that must stay closed to it: it is not limited to its mailboxes",
        "revoke the consent: Entra admin center > Enterprise applications > the app > Permissions > "
        "full_access_as_app > Revoke (removing it from the app registration does not revoke it); it defeats the "
        "scope of RBAC for Applications; else narrow the management scope",
    ),
    "scope_unproved": entry(
        "a mailbox under must_not_reach is closed to everybody, or does not exist: that it is refused proves nothing",
        "name a mailbox that exists, has EWS, and that the app must not open",
    ),
    "access_unlimited": entry(
        "the consent full_access_as_app opens every mailbox of the tenant to this app",
        "to limit it, assign 'Application EWS.AccessAsApp' with a management scope, revoke the consent, and name a "
        "mailbox under must_not_reach to have it proved",
    ),
    "old_mail_waits": entry(
        "much or old mail waits in a watched folder, and all of it would be published",
        "set ignore_before for this mailbox to leave old mail where it is",
    ),
    "mailbox_nearly_full": entry(
        "the mailbox holds nine tenths of what it may, or more; once it is full Exchange refuses mail to it",
        "make room: let a retention policy empty Deleted Items (docs/exchange-setup.md), or raise the quota",
    ),
    "mail_parked": entry(
        "mails that could be neither fetched nor carried lie in Bridge Parked, where nobody reads them",
        "bridge parked list shows them with their reasons; mend those, then bridge parked retry",
    ),
    "junk_waits": entry(
        "mail waits in the junk folder, which nobody reads",
        "look through it; add junkemail to folders to have it read as well",
    ),
    "send_limit_exceeded": entry(
        "more is configured than Exchange Online sends for a mailbox: 30 mails a minute, 10,000 recipients a day",
        "leave send_rate_per_minute and recipients_per_day out; for more, use more mailboxes",
    ),
    "send_limit_reached": entry(
        "the mailbox has used up what it may send in 24 hours",
        "wait until the window has passed, or use more mailboxes; requests wait meanwhile",
    ),
    "sent_copy_unstamped": entry(
        "the copy in Sent Items does not bear the bridge's stamp",
        "nothing: a send whose answer is lost then ends as unknown more often, where it would end as sent",
    ),
}

GENERAL: Final[dict[str, str]] = {
    **dict.fromkeys(NETWORK, "mailbox_unavailable"),
    **dict.fromkeys(ENTRA, "credentials_rejected"),
    "managed_identity_unavailable": "token_unavailable",
    "ews_disabled": "ews_blocked",
    "impersonation_denied": "mailbox_access_denied",
    "exchange_code_unknown": "mailbox_unavailable",
}
"""For codes that the events do not know: the one that says the same less exactly."""
