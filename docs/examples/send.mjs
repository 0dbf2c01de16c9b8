// Asks the bridge to send a mail. Needs Node.js with amqplib; AMQP_URL names the broker, the argument is the recipient.
import amqp from "amqplib";
import { randomUUID } from "node:crypto";

const connection = await amqp.connect(process.env.AMQP_URL);
const channel = await connection.createConfirmChannel();

const request = {
  request_id: randomUUID(), // publish again under the same id after any doubt: it is sent once
  to: [{ address: process.argv[2] }],
  subject: "Flight 7: patient ready at landing zone 2",
  text: "Contact the ground crew on arrival.",
};
channel.publish("mail.outbound", "dispatch.urgent", Buffer.from(JSON.stringify(request)), {
  messageId: request.request_id,
  contentType: "application/json",
  persistent: true,
  mandatory: true,
});
await channel.waitForConfirms();
console.log(request.request_id);
await connection.close();
