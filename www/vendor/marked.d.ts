/** What the page uses of marked 18: the lexer, and ways to tell it of more. */

export interface Token {
  type: string;
  raw: string;
  text?: string;
  tokens?: Token[];
  [field: string]: unknown;
}

export interface TokenizerExtension {
  name: string;
  level: "block" | "inline";
  /** Where it may begin next. */
  start(this: { lexer: Lexer }, text: string): number | undefined;
  tokenizer(this: { lexer: Lexer }, text: string): Token | undefined;
}

export interface Lexer {
  inlineTokens(text: string): Token[];
}

export class Marked {
  constructor(options?: { gfm?: boolean; breaks?: boolean });
  use(more: { extensions?: TokenizerExtension[]; tokenizer?: Record<string, (text: string) => Token | undefined> }): this;
  lexer(text: string): Token[];
}
