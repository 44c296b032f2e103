// Chooses the next token of each row, filter by filter as `SampleParams` says. One workgroup a row; thresholds are found by radix selection over keys
// that order like the logits, 11, 11 and 10 bits at a time, by count (top-k, alternatives) or by probability in fixed point (top-p, typical-p): integer
// sums, so the same logits always give the same choice.
// Flags: ALTERNATIVES, SEEDS (several rows, each with a seed of its own; else there is one). Constants: THREADS (a multiple of 16 that divides BINS),
// ALTERNATIVES. Number: VOCABULARY.

#include step
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [rows, VOCABULARY]
@group(0) @binding(2) var<storage, read> bias: array<f32>;                // [VOCABULARY]
@group(0) @binding(3) var<storage, read_write> seen: array<u32>;          // [rows, VOCABULARY]
@group(0) @binding(4) var<storage, read_write> token: array<u32>;         // [rows]
@group(0) @binding(5) var<storage, read_write> record: array<u32>;        // [rows, 3 + 2 · ALTERNATIVES]
#if SEEDS
@group(0) @binding(6) var<storage, read> seeds: array<u32>;               // [rows]

var<private> row: u32;

// As `SampleParams::uniform`.
fn pcg(v: u32) -> u32 {
    let state = v * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn uniform_of(key: u32) -> f32 { return f32(pcg(key ^ pcg(step.step)) >> 8u) / 16777216.0; }

fn draw() -> f32 { return uniform_of(seeds[row]); }

fn chance() -> f32 { return uniform_of(seeds[row] ^ 0x9e3779b9u); }
#else
const row: u32 = 0u;

fn draw() -> f32 { return step.draw; }

fn chance() -> f32 { return step.chance; }
#endif
#if ALTERNATIVES
const RECORD: u32 = 3u + 2u * ALTERNATIVES;
#else
const RECORD: u32 = 3u;
#endif

const BINS: u32 = 2048u;
// Sums over the workgroup are made of 16 shares, and a thread's own bins of so many.
const SHARE: u32 = THREADS / 16u;
const OWN_BINS: u32 = BINS / THREADS;
// Stands for what is not finite, and bounds what a penalty can make.
const LOWEST: f32 = -3.0e38;
// As `BANNED`, `SampleParams::COLDEST`.
const BANNED: f32 = -1.0e30;
const COLDEST: f32 = 1.0e-4;
// Probabilities as integers: 1 is this.
const ONE: f32 = 1073741824.0;
const NOTHING: u32 = 0xffffffffu;

var<workgroup> bins: array<atomic<u32>, BINS>;
var<workgroup> floats: array<f32, THREADS>;
var<workgroup> more_floats: array<f32, 16>;
var<workgroup> words: array<u32, THREADS>;
var<workgroup> more_words: array<u32, 16>;
var<workgroup> picked_bin: u32;
var<workgroup> picked_left: u32;
var<workgroup> picked_token: u32;
var<workgroup> found: atomic<u32>;
var<workgroup> drawn: f32;
#if ALTERNATIVES
var<workgroup> candidate_ids: array<u32, ALTERNATIVES>;
var<workgroup> candidate_keys: array<u32, ALTERNATIVES>;
#endif

fn raw(i: u32) -> f32 {
    let value = logits[row * VOCABULARY + i];
    // By its bits: a compiler may assume that there are no infinities and no NaN.
    if ((bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u) { return LOWEST; }
    return clamp(value, LOWEST, -LOWEST);
}

// The logit that tokens are chosen by: penalties off, bias on.
fn preferred(i: u32) -> f32 {
    var value = raw(i);
    if (value == LOWEST || bias[i] <= BANNED) { return LOWEST; }
    let times = seen[row * VOCABULARY + i];
    if (times > 0u) {
        if (step.repetition_penalty != 1.0) {
            value = select(value * step.repetition_penalty, value / step.repetition_penalty, value > 0.0);
        }
        value -= step.presence_penalty + step.frequency_penalty * f32(times);
    }
    return clamp(value + bias[i], LOWEST, -LOWEST);
}

// Orders like the value; both zeros are one.
fn key_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn value_of(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u));
}

// The bits of the log-probability of a token: minus infinity where its logit is not finite, NaN where none is.
fn logprob_bits(value: f32, log_sum: f32, any: bool) -> u32 {
    if (!any) { return 0x7fc00000u; }
    if (value == LOWEST) { return 0xff800000u; }
    return bitcast<u32>(value - log_sum);
}

// What the filters before left: between two keys, and no farther from `centre` than `far`.
var<private> least: u32 = 0u;
var<private> most: u32 = NOTHING;
var<private> centre: f32 = 0.0;
var<private> far: f32 = -LOWEST;

fn is_kept(value: f32) -> bool {
    let key = key_of(value);
    return value > LOWEST && key >= least && key <= most && abs(value - centre) <= far;
}

fn weight_of(value: f32, top: f32, temperature: f32) -> f32 {
    return exp(max((value - top) / temperature, -1.0e4));
}

// Sums over the workgroup: 16 shares, then their sum.
fn sum_floats(lid: u32, value: f32) -> f32 {
    floats[lid] = value;
    workgroupBarrier();
    if (lid < 16u) {
        var sum = 0.0;
        for (var i = 0u; i < SHARE; i++) { sum += floats[lid * SHARE + i]; }
        more_floats[lid] = sum;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) { sum += more_floats[i]; }
    workgroupBarrier();
    return sum;
}

fn lowest_word(lid: u32, value: u32) -> u32 {
    words[lid] = value;
    workgroupBarrier();
    if (lid < 16u) {
        var low = NOTHING;
        for (var i = 0u; i < SHARE; i++) { low = min(low, words[lid * SHARE + i]); }
        more_words[lid] = low;
    }
    workgroupBarrier();
    var low = NOTHING;
    for (var i = 0u; i < 16u; i++) { low = min(low, more_words[i]); }
    workgroupBarrier();
    return low;
}

// What is looked for, in the order of the filters.
const RAW_COUNT: u32 = 0u;
const SIGMA: u32 = 1u;
const COUNT: u32 = 2u;
const TYPICAL: u32 = 3u;
const MASS: u32 = 4u;
const SHARE_OF_TOP: u32 = 5u;
const EXCLUDED: u32 = 6u;
const HEAT: u32 = 7u;
const SURPRISE: u32 = 8u;
#if ALTERNATIVES
const FIRST_MODE: u32 = RAW_COUNT;
#else
const FIRST_MODE: u32 = SIGMA;
#endif

fn is_asked(mode: u32) -> bool {
    if (mode == RAW_COUNT) { return true; }
    if (!(step.temperature > 0.0)) { return false; }
    switch mode {
        case SIGMA: { return step.top_n_sigma > 0.0; }
        case COUNT: { return step.top_k > 0u && step.top_k < VOCABULARY; }
        case TYPICAL: { return step.typical_p < 1.0; }
        case MASS: { return step.top_p < 1.0; }
        case SHARE_OF_TOP: { return step.min_p > 0.0; }
        case EXCLUDED: { return step.xtc_probability > 0.0 && step.xtc_threshold <= 0.5; }
        case HEAT: { return step.dynamic_range > 0.0; }
        default: { return step.mirostat_mu > 0.0; }
    }
}

// The key of the last token that is needed, going down from the first, for the sum over all so far to reach `goal`. By `mode` tokens go by their raw logits and
// count one; or those that are kept go by their logits, or by how near they are to the centre, and count one or what they weigh.
fn threshold(lid: u32, mode: u32, goal: u32, top: f32, per_weight: f32) -> u32 {
    var prefix = 0u;
    var known = 0u;
    var left = goal;
    for (var level = 0u; level < 3u; level++) {
        let shift = select(select(0u, 10u, level == 1u), 21u, level == 0u);
        let here = select(2047u, 1023u, level == 2u);
        for (var bin = lid; bin < BINS; bin += THREADS) { atomicStore(&bins[bin], 0u); }
        workgroupBarrier();
        for (var i = lid; i < VOCABULARY; i += THREADS) {
            var value = 0.0;
            var counts = true;
            if (mode == RAW_COUNT) {
                value = raw(i);
            } else {
                value = preferred(i);
                counts = is_kept(value);
            }
            var key = key_of(value);
            if (mode == TYPICAL) { key = key_of(-abs(value - centre)); }
            if ((key & known) == prefix && counts) {
                var amount = 1u;
                if (mode >= TYPICAL) { amount = u32(weight_of(value, top, 1.0) * per_weight + 0.5); }
                if (amount != 0u) { atomicAdd(&bins[(key >> shift) & here], amount); }
            }
        }
        workgroupBarrier();
        // Sums of a thread's bins, then of a share's threads. In the bins of one thread the sum from the top reaches what is left.
        var own = 0u;
        for (var i = 0u; i < OWN_BINS; i++) { own += atomicLoad(&bins[lid * OWN_BINS + i]); }
        words[lid] = own;
        if (lid == 0u) { picked_bin = NOTHING; }
        workgroupBarrier();
        if (lid < 16u) {
            var sum = 0u;
            for (var i = 0u; i < SHARE; i++) { sum += words[lid * SHARE + i]; }
            more_words[lid] = sum;
        }
        workgroupBarrier();
        var need = left;
        for (var share = 15u; share > lid / SHARE; share--) { need -= min(need, more_words[share]); }
        for (var thread = (lid / SHARE + 1u) * SHARE - 1u; thread > lid; thread--) { need -= min(need, words[thread]); }
        if (need > 0u && need <= own) {
            var bin = lid * OWN_BINS + OWN_BINS - 1u;
            for (var sum = atomicLoad(&bins[bin]); sum < need; sum = atomicLoad(&bins[bin])) {
                need -= sum;
                bin--;
            }
            picked_bin = bin;
            picked_left = need;
        }
        let bin = workgroupUniformLoad(&picked_bin);
        if (bin == NOTHING) { break; }
        left = workgroupUniformLoad(&picked_left);
        prefix |= bin << shift;
        known |= here << shift;
    }
    return prefix;
}

// Three sums over what is kept: how many, below the likeliest, and squares of that; or weights, weighted logits below the likeliest, and how many.
fn moments(lid: u32, mode: u32, top: f32, temperature: f32) -> vec3<f32> {
    var own = vec3(0.0);
    for (var i = lid; i < VOCABULARY; i += THREADS) {
        let value = preferred(i);
        if (!is_kept(value)) { continue; }
        let below = value - top;
        if (mode == SIGMA) {
            own += vec3(1.0, below, below * below);
        } else {
            let weight = weight_of(value, top, temperature);
            own += vec3(weight, weight * below, 1.0);
        }
    }
    var sums = vec3(0.0);
    for (var part = 0u; part < 3u; part++) { sums[part] = sum_floats(lid, own[part]); }
    return sums;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
#if SEEDS
    row = group.x;
#endif
    if (lid == 0u && step.leaving < VOCABULARY) {
        let at = row * VOCABULARY + step.leaving;
        seen[at] -= min(seen[at], 1u);
    }
    storageBarrier();
    // The likeliest token after the penalties, and the logarithm of the sum of all before them.
    var best = 0u;
    var best_id = 0u;
    var raw_top = LOWEST;
    var sum = 0.0;
    for (var i = lid; i < VOCABULARY; i += THREADS) {
        let key = key_of(preferred(i));
        if (key > best) {
            best = key;
            best_id = i;
        }
        let value = raw(i);
        if (value > raw_top) {
            sum = sum * exp(raw_top - value) + 1.0;
            raw_top = value;
        } else {
            sum += exp(value - raw_top);
        }
    }
    let best_key = ~lowest_word(lid, ~best);
    let greedy = lowest_word(lid, select(NOTHING, best_id, best == best_key));
    let top_of_all = value_of(~lowest_word(lid, ~key_of(raw_top)));
    let log_sum = top_of_all + log(sum_floats(lid, sum * exp(raw_top - top_of_all)));

#if ALTERNATIVES
    var edge = 0u;
#endif
    // One filter after the other, so that the code of what they share is there once.
    var top = value_of(best_key);
    var temperature = step.temperature;
    var lightest = 0.0;
    for (var mode = FIRST_MODE; mode <= SURPRISE; mode++) {
        if (!is_asked(mode)) { continue; }
        var sums = vec3(1.0, 0.0, 1.0);
        if (mode != RAW_COUNT && mode != COUNT && mode != SHARE_OF_TOP) {
            sums = moments(lid, mode, top, select(1.0, temperature, mode == SURPRISE));
        }
        var goal = 1u;
        switch mode {
            case SIGMA: {
                let mean = sums.y / sums.x;
                let deviation = sqrt(max(sums.z / sums.x - mean * mean, 0.0));
                least = key_of(top - step.top_n_sigma * deviation);
            }
            case COUNT: { goal = step.top_k; }
            case TYPICAL: {
                // A token's surprise is as far from the mean one as its logit is from theirs.
                centre = top + sums.y / sums.x;
                goal = u32(step.typical_p * ONE) + 1u;
            }
            case MASS: { goal = max(u32(step.top_p * ONE), 1u); }
            case SHARE_OF_TOP: { least = max(least, key_of(top + min(log(step.min_p), 0.0))); }
            case HEAT: {
                let entropy = log(sums.x) - sums.y / sums.x;
                let share = select(0.0, clamp(entropy / log(sums.z), 0.0, 1.0), sums.z > 1.0);
                let low = max(step.temperature - step.dynamic_range, 0.0);
                let high = step.temperature + step.dynamic_range;
                let risen = select(0.0, exp(log(share) * step.dynamic_exponent), share > 0.0);
                temperature = max(low + (high - low) * risen, COLDEST);
            }
            case SURPRISE: { lightest = min(exp2(-step.mirostat_mu) * sums.x, 1.0); }
#if ALTERNATIVES
            case RAW_COUNT: { goal = ALTERNATIVES; }
#endif
            default: {}
        }
        if (mode == RAW_COUNT || mode == COUNT || mode == TYPICAL || mode == MASS) {
            let key = threshold(lid, mode, goal, top, ONE / sums.x);
            switch mode {
#if ALTERNATIVES
                case RAW_COUNT: { edge = key; }
#endif
                case TYPICAL: { far = select(-LOWEST, -value_of(key), key != 0u); }
                default: { least = max(least, key); }
            }
        }
        if (mode == TYPICAL || mode == EXCLUDED) {
            // The likeliest that is kept; or of those that reach the threshold the least likely, which becomes it, and how many they are.
            var found_key = NOTHING;
            var reaching = 0.0;
            for (var i = lid; i < VOCABULARY; i += THREADS) {
                let value = preferred(i);
                if (!is_kept(value)) { continue; }
                if (mode == TYPICAL) {
                    found_key = min(found_key, ~key_of(value));
                } else if (weight_of(value, top, 1.0) >= step.xtc_threshold * sums.x) {
                    found_key = min(found_key, key_of(value));
                    reaching += 1.0;
                }
            }
            let key = lowest_word(lid, found_key);
            let count = sum_floats(lid, reaching);
            if (mode == TYPICAL) {
                if (key != NOTHING) { top = value_of(~key); }
            } else if (chance() < step.xtc_probability && count >= 2.0) {
                most = key;
                top = value_of(key);
            }
        }
    }

    if (lid == 0u) {
        picked_token = greedy;
        drawn = 0.0;
    }
    if (step.temperature > 0.0) {
        // Each invocation sums a run of tokens in order, so that the draw goes through them in order.
        let run = (VOCABULARY + THREADS - 1u) / THREADS;
        let start = min(lid * run, VOCABULARY);
        let to = min(start + run, VOCABULARY);
        var mass = 0.0;
        for (var i = start; i < to; i++) {
            let value = preferred(i);
            let weight = weight_of(value, top, temperature);
            if (is_kept(value) && weight >= lightest) { mass += weight; }
        }
        floats[lid] = mass;
        workgroupBarrier();
        if (lid == 0u) {
            var total = 0.0;
            for (var i = 0u; i < THREADS; i++) { total += floats[i]; }
            var target_mass = draw() * total;
            // The last run with anything in it takes what rounding leaves over.
            var owner = 0u;
            var rest = 0.0;
            var before = 0.0;
            for (var i = 0u; i < THREADS; i++) {
                if (floats[i] > 0.0) {
                    owner = i;
                    rest = target_mass - before;
                    before += floats[i];
                    if (before > target_mass) { break; }
                }
            }
            words[0] = owner;
            more_floats[0] = rest;
            more_floats[1] = total;
        }
        workgroupBarrier();
        if (lid == words[0]) {
            let rest = more_floats[0];
            var passed = 0.0;
            for (var i = start; i < to; i++) {
                let value = preferred(i);
                let weight = weight_of(value, top, temperature);
                if (is_kept(value) && weight >= lightest && weight > 0.0) {
                    picked_token = i;
                    drawn = log(weight / more_floats[1]);
                    passed += weight;
                    if (passed > rest) { break; }
                }
            }
        }
    }
    let chosen = workgroupUniformLoad(&picked_token);

#if ALTERNATIVES
    // All above the threshold in any order, then of those that equal it the lowest ids; then each finds its rank.
    if (lid == 0u) { atomicStore(&found, 0u); }
    workgroupBarrier();
    for (var i = lid; i < VOCABULARY; i += THREADS) {
        let key = key_of(raw(i));
        if (key > edge) {
            let slot = atomicAdd(&found, 1u);
            if (slot < ALTERNATIVES) {
                candidate_ids[slot] = i;
                candidate_keys[slot] = key;
            }
        }
    }
    workgroupBarrier();
    if (lid == 0u) { picked_left = atomicLoad(&found); }
    var after = 0u;
    for (var slot = workgroupUniformLoad(&picked_left); slot < ALTERNATIVES; slot++) {
        var next = NOTHING;
        for (var i = lid; i < VOCABULARY; i += THREADS) {
            if (i >= after && key_of(raw(i)) == edge) {
                next = i;
                break;
            }
        }
        let low = lowest_word(lid, next);
        if (lid == 0u) {
            candidate_ids[slot] = low;
            candidate_keys[slot] = edge;
        }
        after = low + 1u;
    }
    workgroupBarrier();
    for (var slot = lid; slot < ALTERNATIVES; slot += THREADS) {
        let id = candidate_ids[slot];
        let key = candidate_keys[slot];
        var rank = 0u;
        for (var i = 0u; i < ALTERNATIVES; i++) {
            let other = candidate_keys[i];
            if (other > key || (other == key && candidate_ids[i] < id)) { rank += 1u; }
        }
        record[row * RECORD + 3u + 2u * rank] = id;
        record[row * RECORD + 4u + 2u * rank] = logprob_bits(value_of(key), log_sum, top_of_all > LOWEST);
    }
#endif

    if (lid == 0u) {
        record[row * RECORD] = chosen;
        record[row * RECORD + 1u] = logprob_bits(raw(chosen), log_sum, top_of_all > LOWEST);
        record[row * RECORD + 2u] = select(0x7fc00000u, bitcast<u32>(drawn), top_of_all > LOWEST);
        token[row] = chosen;
        seen[row * VOCABULARY + chosen] += 1u;
    }
}
