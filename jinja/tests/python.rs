//! The language against transformers' Jinja (`training/make_template_fixtures.py`), and what a hostile template may take.

use std::{fs, path::Path, time::Instant};

use vitrine_jinja::{Budget, Error, ErrorKind, Json, LocalTime, Template, Value};

/// 2026-03-05 13:07:09.000042, as the fixtures have it.
const NOW: LocalTime = LocalTime { micros: 1_772_716_029_000_042, ahead: 60 };

fn fixture(name: &str) -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/templates").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn render(source: &str, context: &Json) -> Result<String, Error> {
    let budget = Budget::default();
    let variables = context.as_object().unwrap_or_default().iter();
    let variables = variables.map(|(name, value)| Ok((name.clone(), Value::from_json(value, &budget)?)));
    Template::new(source)?.render(variables.collect::<Result<_, Error>>()?, budget, NOW)
}

#[test]
fn small_templates_say_what_they_say_in_python() {
    let fixture = fixture("expressions.json");
    let cases = fixture.get("cases").unwrap().as_array().unwrap();
    assert!(cases.len() > 1000);
    let mut wrong = vec![];
    for case in cases {
        let source = case.get("template").unwrap().as_str().unwrap();
        let made = render(source, fixture.get("context").unwrap());
        if made.as_deref().ok() != case.get("expected").unwrap().as_str() {
            wrong.push(format!("{source}\n  here   {made:?}\n  Python {:?}", case.get("expected")));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Templates that would take all of a page's time, memory or stack.
#[test]
fn a_hostile_template_is_stopped() {
    let deep = |open: &str, close: &str| format!("{{{{ {}1{} }}}}", open.repeat(5000), close.repeat(5000));
    let nested = "{% if true %}".repeat(5000) + &"{% endif %}".repeat(5000);
    let chain = format!("{{{{ {} }}}}", vec!["'a'"; 5000].join(" + "));
    let templates = [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ 10 ** 9 ** 9 }}",
        "{{ range(10 ** 9) }}",
        "{{ range(10 ** 9) | list }}",
        "{{ 'a'.ljust(10 ** 9) }}{{ 'a'.center(10 ** 9) }}",
        "{{ 'a'.zfill(10 ** 12) }}",
        "{{ 'a' | center(10 ** 9) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%.1000000000f' % 1 }}",
        "{{ '%*d' % (10 ** 9, 1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:.1000000000f}'.format(1.0) }}",
        "{{ '{:01000000000,}'.format(1) }}",
        "{{ '{:{}}'.format(1, 10 ** 9) }}",
        "{{ '\\t'.expandtabs(10 ** 9) }}",
        "{{ [1, [2]] | tojson(indent=10 ** 9) }}",
        "{{ 'a\nb' | indent(10 ** 9) }}",
        "{{ [1] | batch(10 ** 9, 0) | list }}",
        "{{ [1] | slice(10 ** 9) | list }}",
        "{{ lipsum(10 ** 9) }}",
        "{{ lipsum(1, true, 10 ** 9, 10 ** 9 + 1) }}",
        "{{ strftime_now('%1000000000Y') }}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x.join(ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x]|join %}{% endfor %}",
        "{% set ns = namespace(x='%s%s') %}{% for i in range(99) %}{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='{}{}') %}{% for i in range(99) %}{% set ns.x = '{}{}'.format(ns.x, ns.x) %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|tojson }}",
        "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% for l in [ns.x] %}{% set ns.x = [loop] %}{% endfor %}{% endfor %}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}",
        "{% macro f() %}{% if true %}{% for i in [1] %}{% set x %}{{ caller() }}{% endset %}{{ x }}{% endfor %}{% endif %}{% endmacro %}{% macro g() %}{% call f() %}{{ g() }}{% endcall %}{% endmacro %}{{ g() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ ('a' * 99999)|list|map('upper')|map('lower')|list|length }}{% for i in range(99999) %}{{ ('a' * 99999) }}{% endfor %}",
        "{% for i in range(99999) %}{{ ('a' * 99999).find('b') }}{{ 'b' in 'a' * 99999 }}{% endfor %}",
        "{% set d = dict.fromkeys(range(99999)) %}{{ d }}",
        "{{ range(99999)|unique|list|length }}",
        "{% for i in range(999) %}{{ range(99999)|sum }}{% endfor %}",
        "{% for i in range(99999) %}{{ range(99999)|first }}{% endfor %}",
        &deep("(", ")"),
        &deep("[", "]"),
        &deep("-", ""),
        &deep("not ", ""),
        &deep("a if b else ", ""),
        &nested,
        &chain,
    ];
    for template in templates {
        let begun = Instant::now();
        let shown = template.chars().take(100).collect::<String>();
        let error = render(template, &Json::Null).map(|text| text.len()).expect_err(&shown);
        assert!(
            matches!(error.kind, ErrorKind::Exhausted | ErrorKind::Runtime | ErrorKind::Syntax),
            "{shown}: {error}"
        );
        assert!(begun.elapsed().as_secs() < 20, "{shown} took {:?}", begun.elapsed());
    }
}

#[test]
fn what_a_template_nests_is_dropped_without_a_deep_stack() {
    let chains = [
        "{% set ns = namespace(x=none) %}{% for i in range(50000) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}",
        "{% set ns = namespace(x=none) %}{% for i in range(20000) %}{% macro m() %}{{ i }}{% endmacro %}{% set inner = ns.x %}{% set ns.x = m %}{% endfor %}",
        "{% set ns = namespace(x=none) %}{% for i in range(20000) %}{% set ns.x = namespace(x=[ns.x, ns]) %}{% endfor %}",
    ];
    for template in chains {
        assert_eq!(render(template, &Json::Null).unwrap(), "", "{template}");
    }
}

#[test]
fn an_error_says_where_the_template_stops_and_why() {
    for (template, kind, words) in [
        ("a\n\n{% if x %}\n", ErrorKind::Syntax, "line 3: the template ends before {% endif %}"),
        ("a\n{% fi x %}", ErrorKind::Syntax, "line 2: there is no tag 'fi'"),
        ("\n{{ x | tojsn }}", ErrorKind::Syntax, "line 2: there is no filter 'tojsn'"),
        ("\n\n{{ x.y.z }}", ErrorKind::Runtime, "line 3: 'x' is undefined"),
        ("{% macro f() %}\n{{ 1 + 'a' }}{% endmacro %}\n{{ f() }}", ErrorKind::Runtime, "line 2: unsupported operand"),
        ("{{ raise_exception('Turns must alternate.') }}", ErrorKind::Raised, "Turns must alternate."),
        ("{{ 'a' * 10 ** 12 }}", ErrorKind::Exhausted, "line 1: it makes more than 256 MiB of texts and lists"),
    ] {
        let error = render(template, &Json::Null).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().starts_with(words), "{error}");
    }
}
