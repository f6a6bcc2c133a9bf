//! Laws: all ways to ask agree, and plain patterns mean what the crate `globset` makes of them.

use proptest::{prelude::*, test_runner::RngSeed};
use snapfim::policy::{Effect, EffectivePolicy, EntityPath, Link, Matcher, Policy, Rule, RuleSet, State, Verdict};

use crate::{matcher, path, rule};

/// What the reasons add up to: excludes win, and a route is subject to the excludes of its own spelling.
fn sum(matcher: &Matcher, rules: usize, at: &EntityPath, value: Option<&[u8]>, container: bool) -> [RuleSet; 2] {
    let reasons = matcher.explain(at, value, container);
    let (mut taken, mut existence) = (RuleSet::EMPTY, RuleSet::EMPTY);
    for rule in 0..rules {
        let drops = |spelled: &Option<Vec<u8>>| {
            reasons
                .iter()
                .any(|r| r.effect == Effect::Drops && r.rule.is_none_or(|own| own == rule) && r.spelled == *spelled)
        };
        for reason in reasons.iter().filter(|r| r.rule == Some(rule) && r.effect != Effect::Drops) {
            if drops(&None) || drops(&reason.spelled) {
                continue;
            }
            if reason.effect == Effect::Takes { taken.insert(rule) } else { existence.insert(rule) }
        }
    }
    [taken, existence.minus(taken)]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() }
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "A", "ab", "*", "?", "**", "a*", "*b", "[ab]", "[a-b]?", "b*a"])
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "A", "ab", "ba", "bba", "c", "é"])
}

fn pattern() -> impl Strategy<Value = String> {
    let root = prop::sample::select(vec!["/", "/", r"C:\", r"\", "@1/", "**/", r"**\"]);
    (root, prop::collection::vec(segment(), 0..4), any::<bool>()).prop_map(|(root, segments, container)| {
        let separator = if root.ends_with('/') { "/" } else { "\\" };
        let tail = if container && !segments.is_empty() { separator } else { "" };
        format!("{root}{}{tail}", segments.join(separator))
    })
}

fn place() -> impl Strategy<Value = EntityPath> {
    let root = prop::sample::select(vec!["/", "/", r"C:\", r"D:\", "@1/"]);
    (root, prop::collection::vec(prop::sample::select(vec!["a", "a", "b", "A", "ab"]), 0..4)).prop_map(
        |(root, names)| {
            let separator = if root.ends_with('/') { "/" } else { "\\" };
            path(format!("{root}{}", names.join(separator)))
        },
    )
}

fn walk(matcher: &Matcher, at: &EntityPath, container: bool) -> Vec<State> {
    let mut states = vec![matcher.root(&at.root)];
    for (depth, name) in at.segments.iter().enumerate() {
        let container = container || depth + 1 < at.segments.len();
        states.push(matcher.child(states.last().unwrap(), name, container));
    }
    states
}

proptest! {
    #![proptest_config(config(6000))]

    /// One name at a time, a whole path, one pattern at a time, and after a turn through JSON: always the same.
    #[test]
    fn all_ways_to_ask_agree(
        rules in prop::collection::vec((prop::collection::vec(pattern(), 1..3), prop::collection::vec(pattern(), 0..2)), 1..4),
        global in prop::collection::vec(pattern(), 0..2),
        links in prop::collection::vec((0..3usize, place(), place()), 0..4),
        at in place(),
        container in any::<bool>(),
        beneath in any::<bool>(),
    ) {
        let mut policy = EffectivePolicy { exclude: global.into_iter().map(Into::into).collect(), ..Default::default() };
        for (paths, exclude) in rules {
            policy.rules.push(Rule {
                name: "r".into(),
                paths: paths.into_iter().map(Into::into).collect(),
                exclude: exclude.into_iter().map(Into::into).collect(),
                ..Default::default()
            });
        }
        for (rule, spelled, canonical) in &links {
            policy.add_link(*rule, Link::new(spelled, canonical));
        }
        // Most places would be beneath no link at all.
        let at = match links.first().filter(|_| beneath) {
            Some((.., link)) => EntityPath { root: link.root.clone(), segments: [link.segments.clone(), at.segments].concat() },
            None => at,
        };
        let matcher = Matcher::new(&policy).unwrap();
        let states = walk(&matcher, &at, container);
        let verdict: Verdict = states.last().unwrap().verdict();
        prop_assert_eq!(verdict, matcher.verdict(&at, None, container));
        let [taken, existence] = sum(&matcher, policy.rules.len(), &at, None, container);
        prop_assert_eq!(verdict.rules, taken);
        prop_assert_eq!(verdict.existence, existence);
        if verdict.is_taken() {
            for above in &states[..states.len() - 1] {
                prop_assert!(above.may_cover_below(), "pruned above {:?}", at);
            }
        }
        for pair in states.windows(2).filter(|pair| pair[0].is_settled()) {
            prop_assert_eq!(format!("{:?}", pair[0]), format!("{:?}", pair[1]));
        }
        let json = serde_json::to_string(&policy).unwrap();
        let again = Matcher::new(&serde_json::from_str(&json).unwrap()).unwrap();
        prop_assert_eq!(again.verdict(&at, None, container), verdict);
    }

    /// The same for keys and values, with lists of values.
    #[test]
    fn all_ways_to_ask_agree_on_values(
        patterns in prop::collection::vec((prop::collection::vec(segment(), 0..4), any::<bool>()), 1..4),
        exclude in prop::collection::vec(prop::collection::vec(segment(), 1..4), 0..2),
        values in prop::collection::vec(prop::sample::select(vec!["a", "a*", "[ab]"]), 0..2),
        set_is in prop::sample::select(vec![None, Some("a"), Some("b")]),
        names in prop::collection::vec(name(), 0..4),
        value in prop::option::of(prop::sample::select(vec!["", "a", "B", "ab", "c"])),
    ) {
        let key = |segments: &[&str]| {
            segments.iter().fold("HKLM".to_owned(), |key, segment| format!("{key}\\{segment}"))
        };
        let current = |segments: &[&str]| key(&[&["SYSTEM", "CurrentControlSet"], segments].concat());
        let mut policy = EffectivePolicy { control_set: set_is.map(str::to_owned), ..Default::default() };
        for (at, (segments, through)) in patterns.iter().enumerate() {
            policy.rules.push(Rule {
                name: "r".into(),
                registry: vec![if *through { current(segments) } else { key(segments) }.into()],
                values: if at == 0 { values.iter().map(|v| (*v).to_owned().into()).collect() } else { vec![] },
                exclude: exclude.iter().map(|segments| if at == 1 { current(segments) } else { key(segments) }.into()).collect(),
                ..Default::default()
            });
        }
        let matcher = Matcher::new(&policy).unwrap();
        for prefix in [&[][..], &["system"]] {
            let at = path(key(&[prefix, &names].concat()));
            let value = value.map(str::as_bytes);
            let states = walk(&matcher, &at, true);
            let last = states.last().unwrap();
            let verdict = value.map_or(last.verdict(), |value| matcher.value(last, value));
            prop_assert_eq!(verdict, matcher.verdict(&at, value, true));
            let [taken, existence] = sum(&matcher, policy.rules.len(), &at, value, true);
            prop_assert_eq!(verdict.rules, taken);
            prop_assert_eq!(verdict.existence, existence);
            let above = if value.is_some() { &states[..] } else { &states[..states.len() - 1] };
            prop_assert!(!verdict.is_taken() || above.iter().all(State::may_cover_below));
        }
    }

    /// On Linux paths, `globset` matches a path or one of the directories above it exactly where a pattern covers it.
    #[test]
    fn plain_patterns_mean_what_globset_makes_of_them(
        segments in prop::collection::vec(segment(), 1..5),
        names in prop::collection::vec(prop::sample::select(vec!["a", "b", "A", "ab", "ba", "bba", "c", "aab"]), 1..6),
    ) {
        let text = format!("/{}", segments.join("/"));
        let oracle = globset::GlobBuilder::new(&text)
            .literal_separator(true)
            .backslash_escape(false)
            .build()
            .unwrap()
            .compile_matcher();
        let want = (1..=names.len()).any(|depth| oracle.is_match(format!("/{}", names[..depth].join("/"))));
        let matcher = matcher(&rule(&[&text], &[]));
        let at = path(format!("/{}", names.join("/")));
        prop_assert_eq!(matcher.verdict(&at, None, false).is_taken(), want, "{} on {:?}", text, names);
    }
}

proptest! {
    #![proptest_config(config(1000))]

    /// Whatever bytes an image has for a name, the walk and the single verdict agree under the largest profile.
    #[test]
    fn any_bytes_are_a_name(names in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..6), root in 0..3usize) {
        let policy = Policy::built_in("extended").unwrap().for_machine("m").unwrap();
        let matcher = Matcher::new(&policy).unwrap();
        let roots = [path("/").root, path("C:").root, path("HKLM").root];
        let at = EntityPath { root: roots[root].clone(), segments: names };
        let verdict = walk(&matcher, &at, false).last().unwrap().verdict();
        prop_assert_eq!(verdict, matcher.verdict(&at, None, false));
        prop_assert_eq!(verdict.rules, sum(&matcher, policy.rules.len(), &at, None, false)[0]);
        let _ = EntityPath::parse(&at.to_bytes());
    }
}
