/** The model's turn: one answer at a time, token by token into its message, whichever conversation is looked at meanwhile. */

import { addMessage } from "./conversation.js";
import { given, write } from "./prompt.js";
import { optionsOf } from "./sampling.js";
import { StepReader } from "./steps.js";

/** @import { ChatOptions, TextModel, TextStream } from "../../vitrine.js" */
/** @import { Conversation, Message } from "./conversation.js" */
/** @import { Abilities } from "./prompt.js" */
/** The model in use. @typedef {{ model: TextModel, abilities: Abilities, name: string }} Writer */

/** Events: `begun`, `grown` with each token, `ended`; what is written is in {@link Answering.now}. */
export class Answering extends EventTarget {
  /** What is being written, and where. @type {{ conversation: Conversation, message: Message, stream: TextStream, done: Promise<void> } | undefined} */
  now;

  /**
   * Has a message answered.
   * @param {Writer} writer
   * @param {Conversation} conversation
   * @param {string | null} parent the message that is answered
   * @param {ChatOptions} [more]
   */
  answer(writer, conversation, parent, more) {
    const messages = given(conversation, parent);
    const message = addMessage(conversation, parent, { role: "assistant", text: "", model: writer.name });
    return this.#write(writer, conversation, message, messages, more);
  }

  /** Goes on with an answer that was cut off. @param {Writer} writer @param {Conversation} conversation @param {Message} message */
  goOn(writer, conversation, message) {
    delete message.finish;
    delete message.fault;
    return this.#write(writer, conversation, message, given(conversation, message.id));
  }

  /** Ends what is being written, and waits until it is. */
  async stop() {
    const { now } = this;
    await now?.stream.return();
    await now?.done;
  }

  /**
   * @param {Writer} writer
   * @param {Conversation} conversation
   * @param {Message} message
   * @param {Message[]} messages
   * @param {ChatOptions} [more]
   */
  async #write(writer, conversation, message, messages, more) {
    const stream = write(writer.model, writer.abilities, conversation, messages, { ...optionsOf(conversation.sampling), ...more });
    const now = { conversation, message, stream, done: Promise.resolve() };
    this.now = now;
    this.dispatchEvent(new Event("begun"));
    const done = this.#take(stream, conversation, message);
    now.done = done.catch(() => {});
    return done;
  }

  /** @param {TextStream} stream @param {Conversation} conversation @param {Message} message */
  async #take(stream, conversation, message) {
    const before = message.figures?.generatedTokens ?? 0;
    const reader = new StepReader(message);
    /** @type {unknown} */
    let failure;
    try {
      for await (const chunk of stream) {
        reader.read(chunk);
        message.changed = Date.now();
        this.dispatchEvent(new Event("grown"));
      }
      // Of one that was stopped, what it took is known a little later.
      await stream.return();
    } catch (error) {
      failure = error;
    }
    reader.end();
    message.finish = stream.summary?.finishReason ?? "aborted";
    message.changed = Date.now();
    if (stream.summary) {
      const { promptTokens, reusedTokens, generatedTokens, firstTokenMs, decodeTokensPerSecond: tokensPerSecond, seed } = stream.summary;
      message.figures = { promptTokens, reusedTokens, generatedTokens: before + generatedTokens, firstTokenMs, tokensPerSecond, seed };
    }
    // Where nothing came, there is no answer.
    if (message.text === "" && !message.steps && (failure || message.finish === "aborted")) {
      conversation.messages.splice(conversation.messages.indexOf(message), 1);
      if (conversation.leaf === message.id) conversation.leaf = message.parent;
    }
    this.now = undefined;
    this.dispatchEvent(new CustomEvent("ended", { detail: { conversation, message } }));
    if (failure) throw failure;
  }
}
