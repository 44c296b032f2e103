r"""Which texts llama.cpp takes as the whole of what a grammar (GBNF) describes: tests/fixtures/grammars.json.

    pip install llama-cpp-python==0.3.36
    python training/make_grammar_fixtures.py models/storyteller/storyteller-q8_0.gguf

A text goes through llama.cpp's grammar sampler token by token; it is taken if each of its tokens is left, and behind the last one the end is. Any file with
a vocabulary that can spell all of the texts will do. A grammar that llama.cpp cannot read has `null` for its texts.
"""

import ctypes
import json
import sys
from pathlib import Path

import llama_cpp as lib

OUT = Path(__file__).parent.parent / "tests/fixtures/grammars.json"

CASES = [
    ('root ::= "yes" | "no"', ["yes", "no", "", "ye", "yess", "yesno", "Yes", " yes", "no ", "maybe"]),
    ('root ::= [a-z] [a-z0-9]*', ["a", "abc9", "9a", "", "A", "a-b", "a b", "zz99zz", "é", "a_"]),
    ('root ::= [^a-c"\\n]+', ["d", "xyz", "a", "dxb", "", 'd"', "d\n", "é!", "D E", "^"]),
    ('root ::= "(" root? ")"', ["()", "(())", "((()))", "", "(", ")", "()()", "(()", "( )", ")("]),
    ('root ::= item ("," item)*\nitem ::= [0-9]{1,3}', ["1", "12,345", "1234", "1,", ",1", "", "1,,2", "999,0,1", "1, 2", "a"]),
    ('root ::= "a"{3}', ["aaa", "aa", "aaaa", "", "aab", "AAA", "a", "aaaaaa", "aaa ", "b"]),
    ('root ::= "ab"{2,}', ["abab", "ababab", "ab", "aba", "", "ababb", "abababab", "ba", "aab", "abab "]),
    ('root ::= "x"{0,2} "y"', ["y", "xy", "xxy", "xxxy", "x", "", "yy", "xyx", "yx", "xx"]),
    ('root ::= expr\nexpr ::= term (("+" | "-") term)*\nterm ::= num (("*" | "/") num)*\nnum ::= [0-9]+ | "(" expr ")"',
     ["1", "1+2*3", "(1+2)*3", "((7))", "1+", "*1", "()", "1 + 2", "12/4-3", "(1"]),
    ('root ::= object\nvalue ::= object | array | string | number | "true" | "false" | "null"\n'
     'object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? "}" ws\n'
     'array ::= "[" ws (value ("," ws value)*)? "]" ws\n'
     'string ::= "\\"" ([^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\\"" ws\n'
     'number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws\n'
     'ws ::= | " " | "\\n" [ \\t]{0,20}',
     ["{}", '{"a": 1}', '{"a": [1, 2.5, -3e2], "b": {"c": null}}', '{"a": "x\\"y\\u00e9"}', '{"a" : 1}', "[1]", '{"a": 01}', '{"a": 1,}', '{"a": tru}', '{"é": ""}']),
    ('root ::= "a"* "b"* "c"*', ["", "a", "abc", "aabbcc", "ac", "ba", "cab", "bbb", "abcc", "abcab"]),
    ('root ::= ("a" | "ab") ("c" | "bcd")', ["ac", "abc", "abcd", "abbcd", "a", "ab", "acd", "abbc", "", "abcdd"]),
    ('root ::= "\\x41" "\\u00e9" "\\U0001F600"', ["Aé😀", "Aé", "A", "aé😀", "Ae😀", "Aé😀!", "", "é", "😀", "AÉ😀"]),
    ('root ::= .+', ["a", "any thing\nat all", "", "é", "😀", " ", "\t", "1", '"', "\\"]),
    ('root ::= "a" . "b"', ["axb", "a\nb", "aéb", "ab", "axxb", "a😀b", "a", "", "bxa", "aab"]),
    ('# a comment\nroot ::= greeting " " name # another\ngreeting ::= "hi" |\n  "hello"\nname ::= ( "Ann"\n  | "Bob" )',
     ["hi Ann", "hello Bob", "hi", "hiAnn", "hello  Ann", "hey Ann", "", "hi Ann ", "hello Ann", "Bob"]),
    ('root ::= a\na ::= "1" b | ""\nb ::= "2" a', ["", "12", "1212", "1", "121", "2", "21", "121212", "12 ", "11"]),
    ('root ::= list\nlist ::= [a-c] "," list | [a-c]', ["a", "a,b", "a,b,c", "", ",", "a,", "ab", "c,c,c,c", "d", "a, b"]),
    ('root ::= "a"? "a"? "a"', ["a", "aa", "aaa", "aaaa", "", "b", "ab", "ba", "A", " a"]),
    ('root ::= [0-9]+ ("." [0-9]+)? ([eE] [-+]? [0-9]+)?', ["1", "1.5", "1e9", "2.50E-3", ".5", "1.", "1e", "", "1.5.2", "-1"]),
    ('root ::= [-a\\]]+', ["-", "a", "]", "-a]", "b", "", "[", "\\", "a-", "^"]),
    ('root ::= ("ha" | "ho")+ "!"', ["ha!", "hoha!", "!", "ha", "haha!!", "h!", "", "hohohoho!", "HA!", "ha !"]),
    ('root ::= line+\nline ::= [^\\n]+ "\\n"', ["a\n", "a\nb\n", "a", "\n", "", "a\n\n", "a b c\n", "é\n", "a\nb", "\na\n"]),
    ('root ::= [a-z]+ [a-c] "!"', ["xa!", "aa!", "a!", "abc!", "xyz!", "", "x!", "aab!", "xa", "ab !"]),
    # Two lexemes round a rule that leads back to itself: where a lexeme may go on, it does.
    ('root ::= [a-z]+ tail\ntail ::= "end" tail?', ["xend", "xyzendend", "end", "x", "", "xendx", "aend", "endend", "xEnd", "x end"]),
    ('root ::= [0-9]* "(" root? ")" [0-9]*', ["()", "1()2", "1(2()3)4", "12(34)", "", "1", "()()", "(5())", "1()", "(("]),
    # llama.cpp reads no rule that begins with itself.
    ('root ::= root "," [a-c] | [a-c]', []),
    ('root ::= "unclosed', []),
    ('root ::= missing', []),
    ('top ::= "a"', []),
    ('root ::= "a" "', []),
    ('root ::= ("a"', []),
    ('root = "a"', []),
    ('root ::= *', []),
]


class Grammars:
    def __init__(self, path):
        lib.llama_backend_init()
        silent = lib.llama_log_callback(lambda *_: None)
        self.silent = silent
        lib.llama_log_set(silent, None)
        params = lib.llama_model_default_params()
        params.vocab_only = True
        self.model = lib.llama_model_load_from_file(str(path).encode(), params)
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.end = lib.llama_vocab_eos(self.vocab)

    def piece(self, token):
        buffer = ctypes.create_string_buffer(64)
        length = lib.llama_token_to_piece(self.vocab, token, buffer, 64, 0, False)
        return buffer.raw[:length]

    def tokens(self, text):
        data = text.encode()
        room = (lib.llama_token * 256)()
        count = lib.llama_tokenize(self.vocab, data, len(data), room, 256, False, False)
        tokens = list(room[:count])
        assert b"".join(map(self.piece, tokens)) == data, (text, tokens)
        return tokens

    def leaves(self, sampler, token):
        data = (lib.llama_token_data * 1)(lib.llama_token_data(token, 1.0, 0.0))
        candidates = lib.llama_token_data_array(data, 1, -1, False)
        lib.llama_sampler_apply(sampler, ctypes.byref(candidates))
        return data[0].logit == 1.0

    def takes(self, grammar, text):
        """Whether the text is taken; None where the grammar cannot be read."""
        sampler = lib.llama_sampler_init_grammar(self.vocab, grammar.encode(), b"root")
        if not sampler:
            return None
        try:
            for token in self.tokens(text):
                if not self.leaves(sampler, token):
                    return False
                lib.llama_sampler_accept(sampler, token)
            return self.leaves(sampler, self.end)
        finally:
            lib.llama_sampler_free(sampler)


def main(path):
    grammars = Grammars(path)
    lines = []
    for grammar, texts in CASES:
        read = grammars.takes(grammar, "a") is not None
        told = {text: grammars.takes(grammar, text) for text in texts} if read else None
        lines.append(json.dumps({"grammar": grammar, "texts": told}, ensure_ascii=False))
    OUT.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{OUT}: {len(CASES)} grammars")


main(*sys.argv[1:])
