// Chooses the next token of each row. One workgroup a row; thresholds are found by radix selection over keys that order like the logits,
// 11, 11 and 10 bits at a time, by count (top-k, alternatives) or by probability in fixed point (top-p): integer sums, so
// the same logits always give the same choice.
// Flags: ALTERNATIVES, SEEDS (several rows, each with a seed of its own; else there is one). Constants: THREADS (a multiple of 16 that divides BINS),
// ALTERNATIVES. Number: VOCABULARY.

#include step
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> logits: array<f32>;              // [rows, VOCABULARY]
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;          // [rows, VOCABULARY]
@group(0) @binding(3) var<storage, read_write> token: array<u32>;         // [rows]
@group(0) @binding(4) var<storage, read_write> record: array<u32>;        // [rows, 2 + 2 · ALTERNATIVES]
#if SEEDS
@group(0) @binding(5) var<storage, read> seeds: array<u32>;               // [rows]

var<private> row: u32;

// As `SampleParams::uniform`.
fn pcg(v: u32) -> u32 {
    let state = v * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn draw() -> f32 { return f32(pcg(seeds[row] ^ pcg(step.step)) >> 8u) / 16777216.0; }
#else
const row: u32 = 0u;

fn draw() -> f32 { return step.draw; }
#endif
#if ALTERNATIVES
const RECORD: u32 = 2u + 2u * ALTERNATIVES;
#else
const RECORD: u32 = 2u;
#endif

const BINS: u32 = 2048u;
// Sums over the workgroup are made of 16 shares, and a thread's own bins of so many.
const SHARE: u32 = THREADS / 16u;
const OWN_BINS: u32 = BINS / THREADS;
// Stands for what is not finite, and bounds what a penalty can make.
const LOWEST: f32 = -3.0e38;
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

fn penalty(i: u32, value: f32) -> f32 {
    if (step.repetition_penalty == 1.0 || seen[row * VOCABULARY + i] == 0u) { return value; }
    return clamp(select(value * step.repetition_penalty, value / step.repetition_penalty, value > 0.0), LOWEST, -LOWEST);
}

fn penalised(i: u32) -> f32 {
    return penalty(i, raw(i));
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

fn weight_of(value: f32, top: f32) -> f32 {
    return exp(max((value - top) / step.temperature, -1.0e4));
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

const RAW_COUNT: u32 = 0u;
const COUNT: u32 = 1u;
const MASS: u32 = 2u;
#if ALTERNATIVES
const FIRST_MODE: u32 = RAW_COUNT;
#else
const FIRST_MODE: u32 = COUNT;
#endif

// The key of the last token that is needed, going down from the likeliest, for the sum over all so far to reach `goal`.
// `least` where there is not enough. Tokens under `least` count nothing.
fn threshold(lid: u32, mode: u32, goal: u32, least: u32, top: f32, per_weight: f32) -> u32 {
    var prefix = 0u;
    var known = 0u;
    var left = goal;
    for (var level = 0u; level < 3u; level++) {
        let shift = select(select(0u, 10u, level == 1u), 21u, level == 0u);
        let here = select(2047u, 1023u, level == 2u);
        for (var bin = lid; bin < BINS; bin += THREADS) { atomicStore(&bins[bin], 0u); }
        workgroupBarrier();
        for (var i = lid; i < VOCABULARY; i += THREADS) {
            var value = raw(i);
            if (mode != RAW_COUNT) { value = penalty(i, value); }
            let key = key_of(value);
            if ((key & known) == prefix && key >= least) {
                var amount = 1u;
                if (mode == MASS) { amount = u32(weight_of(value, top) * per_weight + 0.5); }
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
    return max(prefix, least);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lid: u32) {
#if SEEDS
    row = group.x;
#endif
    // The likeliest token after the penalty, and the logarithm of the sum of all before it.
    var best = 0u;
    var best_id = 0u;
    var top = LOWEST;
    var sum = 0.0;
    for (var i = lid; i < VOCABULARY; i += THREADS) {
        let key = key_of(penalised(i));
        if (key > best) {
            best = key;
            best_id = i;
        }
        let value = raw(i);
        if (value > top) {
            sum = sum * exp(top - value) + 1.0;
            top = value;
        } else {
            sum += exp(value - top);
        }
    }
    let best_key = ~lowest_word(lid, ~best);
    let greedy = lowest_word(lid, select(NOTHING, best_id, best == best_key));
    let raw_top = value_of(~lowest_word(lid, ~key_of(top)));
    let log_sum = raw_top + log(sum_floats(lid, sum * exp(top - raw_top)));

#if ALTERNATIVES
    var edge = 0u;
#endif
    // The keys that top-k and top-p leave, and that of the last alternative: one search after the other, so that their code is there once.
    let likeliest = value_of(best_key);
    var least = 0u;
    for (var mode = FIRST_MODE; mode <= MASS; mode++) {
        var goal = step.top_k;
        var per_weight = 1.0;
        if (mode == COUNT) {
            if (!(step.temperature > 0.0) || step.top_k == 0u || step.top_k >= VOCABULARY) { continue; }
        }
        if (mode == MASS) {
            if (!(step.temperature > 0.0) || !(step.top_p < 1.0)) { continue; }
            var mass = 0.0;
            for (var i = lid; i < VOCABULARY; i += THREADS) {
                let value = penalised(i);
                if (key_of(value) >= least) { mass += weight_of(value, likeliest); }
            }
            per_weight = ONE / sum_floats(lid, mass);
            goal = max(u32(step.top_p * ONE), 1u);
        }
#if ALTERNATIVES
        if (mode == RAW_COUNT) { goal = ALTERNATIVES; }
        let key = threshold(lid, mode, goal, least, likeliest, per_weight);
        if (mode == RAW_COUNT) { edge = key; } else { least = key; }
#else
        least = threshold(lid, mode, goal, least, likeliest, per_weight);
#endif
    }

    if (lid == 0u) { picked_token = greedy; }
    if (step.temperature > 0.0) {
        // Each invocation sums a run of tokens in order, so that the draw goes through them in order.
        let run = (VOCABULARY + THREADS - 1u) / THREADS;
        let start = min(lid * run, VOCABULARY);
        let to = min(start + run, VOCABULARY);
        var mass = 0.0;
        for (var i = start; i < to; i++) {
            let value = penalised(i);
            let weight = weight_of(value, likeliest);
            if (key_of(value) >= least && weight >= step.min_p) { mass += weight; }
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
        }
        workgroupBarrier();
        if (lid == words[0]) {
            let rest = more_floats[0];
            var passed = 0.0;
            for (var i = start; i < to; i++) {
                let value = penalised(i);
                let weight = weight_of(value, likeliest);
                if (key_of(value) >= least && weight >= step.min_p && weight > 0.0 && value > LOWEST) {
                    picked_token = i;
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
        record[row * RECORD + 2u + 2u * rank] = id;
        record[row * RECORD + 3u + 2u * rank] = logprob_bits(value_of(key), log_sum, raw_top > LOWEST);
    }
#endif

    if (lid == 0u) {
        record[row * RECORD] = chosen;
        record[row * RECORD + 1u] = logprob_bits(raw(chosen), log_sum, raw_top > LOWEST);
        token[row] = chosen;
        seen[row * VOCABULARY + chosen] += 1u;
    }
}
