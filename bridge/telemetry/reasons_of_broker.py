"""What can be wrong with RabbitMQ: one entry for each code, in words, with the fix."""

from __future__ import annotations

from typing import Final

from bridge.telemetry.reason_entry import entry

BROKER: Final[dict[str, tuple[str, str]]] = {
    "broker_unavailable": entry(
        "there is no connection to RabbitMQ",
        "check that the broker runs, its address, and the network",
    ),
    "broker_protocol_mismatch": entry(
        "the server at the broker's address does not speak AMQP without TLS",
        "for a port with TLS (usually 5671) write amqps:// in rabbitmq.urls; else look whether it is RabbitMQ's port "
        "for AMQP (5672), and whether a proxy or load balancer in front of it has a broker behind",
    ),
    "broker_vhost_down": entry(
        "RabbitMQ's node has not opened the virtual host, or closed it after a failure",
        "a node that starts, or has joined a cluster, opens it within a minute; if it lasts, rabbitmqctl "
        "restart_vhost -p VHOST, and look at the broker's log",
    ),
    "broker_limit_reached": entry(
        "RabbitMQ has as many connections or channels as it is set to allow: node, virtual host or user",
        "it goes on as soon as one is free; if it lasts, rabbitmqctl list_connections shows who has them, and "
        "set_vhost_limits, set_user_limits or connection_max allow more",
    ),
    "broker_backend_failed": entry(
        "RabbitMQ could not ask the directory or service that knows the user's rights",
        "look at the broker's log, and whether its LDAP or HTTP authorisation service answers",
    ),
    "broker_queue_down": entry(
        "a queue is declared, and RabbitMQ cannot reach it: its node is down, or it has crashed",
        "start the node that has it; rabbitmqctl list_queues -p VHOST name state shows which; if none has it any more, "
        "delete it, then bridge topology apply",
    ),
    "broker_blocked": entry(
        "RabbitMQ takes no publishes (memory or disk alarm)",
        "free memory or disk on the broker: rabbitmqctl status shows the alarm; rabbitmq-diagnostics memory_breakdown",
    ),
    "broker_login_refused": entry(
        "RabbitMQ refuses the user's name or password",
        "check both in rabbitmq.urls (@, / and # in a password are written %40, %2F and %23); rabbitmqctl "
        "authenticate_user USER; guest may only log in from the broker's own machine",
    ),
    "broker_vhost_missing": entry(
        "RabbitMQ has no such virtual host",
        "correct the path of rabbitmq.urls (/ itself is written %2F), or make it: rabbitmqctl add_vhost NAME",
    ),
    "broker_vhost_refused": entry(
        "RabbitMQ does not let this user into the virtual host",
        "rabbitmqctl set_permissions -p VHOST USER CONFIGURE WRITE READ; bridge topology export --users has what "
        "each worker needs",
    ),
    "broker_access_refused": entry(
        "RabbitMQ refuses the login, the virtual host or a right",
        "check the user, its password and its permissions",
    ),
    "broker_right_missing": entry(
        "the user lacks a right on RabbitMQ that the work needs",
        "log in as the user for this work (bridge send and bridge tail need a CAD system's, such as bridge-cad), or "
        "give this one the rights that bridge topology export --users has for it: rabbitmqctl set_permissions -p VHOST "
        "USER CONFIGURE WRITE READ",
    ),
    "topology_right_missing": entry(
        "this login may not declare the bridge's exchanges and queues; a worker's login is not meant to",
        "run bridge topology apply with the login of an operator in BRIDGE_RABBITMQ__URLS: bridge-operator of bridge "
        "topology export --users, or an administrator",
    ),
    "broker_certificate_missing": entry(
        "RabbitMQ asks for a client certificate, and none is configured",
        "give client_certificate_file (and client_key_file) in the section rabbitmq",
    ),
    "broker_certificate_expired": entry(
        "the client certificate for RabbitMQ has expired",
        "put a new one, with its key, into the file that rabbitmq.client_certificate_file names; no restart is needed",
    ),
    "broker_certificate_expires_soon": entry(
        "the client certificate for RabbitMQ expires soon",
        "put a new one, with its key, into the file that rabbitmq.client_certificate_file names; no restart is needed",
    ),
    "broker_certificate_refused": entry(
        "RabbitMQ refuses the client certificate",
        "check that its authority is in the broker's ssl_options.cacertfile, and that the certificate is for clients",
    ),
    "broker_rights_too_wide": entry(
        "the user may do more on RabbitMQ than a worker needs: who has its password can delete or change the queues",
        "give each worker a user of its own with the rights of bridge topology export --users, and keep this one "
        "for bridge topology apply",
    ),
    "topology_missing": entry(
        "an exchange or queue is missing on RabbitMQ, or differs",
        "bridge topology apply",
    ),
    "topology_differs": entry(
        "an exchange or queue on RabbitMQ was declared with other arguments",
        "drain it, delete it, then bridge topology apply; or set the options under rabbitmq to what is there",
    ),
    "queue_type_wrong": entry(
        "a queue on RabbitMQ is no quorum queue: what it holds may be lost with its node",
        "drain it, delete it (rabbitmqctl delete_queue NAME), then bridge topology apply",
    ),
    "policy_overrides": entry(
        "a policy on RabbitMQ changes what the bridge's queues were declared with",
        "rabbitmqctl list_policies -p VHOST; narrow its pattern, or clear it: rabbitmqctl clear_policy NAME",
    ),
    "dead_letters_wait": entry(
        "messages that failed for good wait in a dead-letter queue",
        "look at it, then publish it again or discard it; an alarm should watch this queue",
    ),
    "inbound_unread": entry(
        "mails wait in the queue mail.inbound, and nobody consumes it",
        "start the consumer; where consumers bind queues of their own, set rabbitmq.default_queue = false and delete "
        "this one",
    ),
    "announcements_unheard": entry(
        "workers do not hear each other's announcements, so that one that stands by cannot tell whether anybody works",
        "nothing, if RabbitMQ takes no publishes at the moment; otherwise bridge check, and look at the exchange "
        "mail.workers",
    ),
    "event_subscriber_refuses": entry(
        "a queue that is bound to mail.events refuses events, or has no leader, so its reader misses them; the queue "
        "mail.events has them, and sending goes on",
        "look at the bindings of mail.events: consume the one that is full, raise its limit, or let it drop the oldest",
    ),
    "queue_taken": entry(
        "another worker has this queue or mailbox",
        "nothing, as long as that worker works: this one takes over when it ends",
    ),
}

GENERAL: Final[dict[str, str]] = {
    "broker_protocol_mismatch": "broker_unavailable",
    "broker_vhost_down": "broker_unavailable",
    "broker_limit_reached": "broker_unavailable",
    "broker_backend_failed": "broker_unavailable",
    "broker_queue_down": "broker_unavailable",
    "broker_certificate_missing": "broker_access_refused",
    "broker_certificate_expired": "broker_access_refused",
    "broker_certificate_refused": "broker_access_refused",
    "broker_login_refused": "broker_access_refused",
    "broker_vhost_missing": "broker_access_refused",
    "broker_vhost_refused": "broker_access_refused",
    "broker_right_missing": "broker_access_refused",
    "topology_right_missing": "broker_access_refused",
}
"""For codes that the events do not know: the one that says the same less exactly."""
