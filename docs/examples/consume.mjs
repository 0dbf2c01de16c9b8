// Takes mails from a queue of one's own. Needs Node.js with amqplib; AMQP_URL names the broker.
import amqp from "amqplib";

const connection = await amqp.connect(process.env.AMQP_URL);
const channel = await connection.createChannel();
await channel.assertQueue("cad.requests", {
  durable: true,
  arguments: {
    "x-queue-type": "quorum", // a mail leaves the inbox once this queue holds it: it must outlive a broker node
    "x-delivery-limit": 20, // what cannot be handled after so many tries goes to mail.inbound.dead
    "x-dead-letter-exchange": "mail.inbound.dead",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
  },
});
await channel.bindQueue("cad.requests", "mail.inbound", "dispatch.#"); // <mailbox alias>.<kind of mail>
await channel.prefetch(10);

await channel.consume("cad.requests", (message) => {
  const mail = JSON.parse(message.content.toString());
  // After a crash of the bridge a mail may come twice, under the same message_id: remember those you handled.
  console.log(message.properties.messageId, mail.kind, mail.from?.address, mail.subject, mail.attachments.length);
  channel.ack(message);
});
