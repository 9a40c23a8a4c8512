// From projection to cache: norm, rotation of pairs (x' = x cos - y sin, y' = y cos + x sin), factor, write.

alias Words = vec4<u32>;
alias Floats = vec4<f32>;
alias Turns = vec2<f32>;

struct Call {
  span: u32,
  tokens: u32,
  batch_rows: u32,
  query_end: u32,
  query_heads: u32,
  query_places: u32,
  query_offset: u32,
  query_batch: u32,
  query_token: u32,
  query_head: u32,
  query_epsilon: f32,
  query_weight: u32,
  query_factors: u32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> memory0: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> lists: array<vec4<u32>>;
var<workgroup> chunks: array<Floats, 260>;
var<workgroup> sums: array<f32, 260>;

fn split(w: vec2<u32>) -> Words { return Words(w.x & 0xffffu, w.x >> 16u, w.y & 0xffffu, w.y >> 16u); }
fn join(h: Words) -> vec2<u32> { return h.xz | (h.yw << vec2<u32>(16u)); }

fn from_float16(w: vec2<u32>) -> Floats {
  let half = split(w);
  let size = half & Words(0x7fffu);
  let small = bitcast<Words>(bitcast<Floats>((size << Words(13u)) + Words(0x38800000u)) - Floats(6.103515625e-05)); // of 2^-24
  let value = Floats(unpack2x16float(w.x), unpack2x16float(w.y));
  return select(value, bitcast<Floats>(small | ((half & Words(0x8000u)) << Words(16u))), size < Words(0x400u));
}
// To the nearest, ties to even.
fn to_float16(value: Floats) -> Words {
  let bits = bitcast<Words>(value);
  let power = max((bits & Words(0x7f800000u)) + Words(0x6800000u), Words(0x3f000000u));
  let sum = bitcast<Words>(abs(value) + bitcast<Floats>(power));
  let largest = select(Words(0x7c00u), Words(0x7e00u), (bits & Words(0x7fffffffu)) > Words(0x7f800000u)); // infinity, NaN
  let half = min(sum - power + (power >> Words(13u)) - Words(0x1f800u), largest);
  return half | ((bits >> Words(16u)) & Words(0x8000u));
}

struct Turn {
  cos: Turns,
  sin: Turns,
}
fn turn(row: u32, pair: u32) -> Turn {
  let at = row * 16u + pair / 2u;
  return Turn(table[at], table[at + 8u]);
}

fn sum_of_256(l: u32, lane: u32, value: f32) -> f32 {
  sums[l] = value;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (lane < half) { sums[l] = sums[l] + sums[l + half]; }
    workgroupBarrier();
  }
  let result = sums[l - lane];
  workgroupBarrier();
  return result;
}

fn load_query(base: u32, i: u32) -> vec2<u32> { return memory0[(base + i) / 4u]; }
fn store_query(base: u32, i: u32, w: vec2<u32>) { memory0[(base + i) / 4u] = w; }
fn pass_query(group: u32, l: u32) {
  let lane = l % 20u;
  let i = lane * 4u;
  let place = group;
  var live = place < call.query_places;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let query_row = call.query_offset + batch * call.query_batch + token * call.query_token;
  let query_factor = bitcast<f32>(lists[(call.query_factors + row) / 4u][(call.query_factors + row) % 4u]);
  var values: array<Floats, 3>;
  var sum = 0.0;
  for (var k = 0u; k < 3u; k++) {
    let head = k * 12u + l / 20u;
    let mine = live && l < 240u && head < call.query_heads;
    if (mine) { values[k] = from_float16(load_query(query_row + head * call.query_head, i)); }
    sum += dot(values[k], values[k]);
  }
  let factor = inverseSqrt(sum_of_256(l, l, sum) / 2560.0 + call.query_epsilon);
  for (var k = 0u; k < 3u; k++) {
    let head = k * 12u + l / 20u;
    let mine = live && l < 240u && head < call.query_heads;
    values[k] = values[k] * factor * bitcast<Floats>(lists[(call.query_weight + head * 80u + i) / 4u]);
    if (mine && i >= 16u && i < 48u) {
      let t = turn(row, (i - 16u) / 2u);
      values[k] = values[k] * t.cos.xxyy + values[k].yxwz * t.sin.xxyy * Floats(-1.0, 1.0, -1.0, 1.0);
    }
    values[k] = values[k] * query_factor;
    if (mine) { store_query(query_row + head * call.query_head, i, join(to_float16(values[k]))); }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) l: u32) {
  let group = id.y * call.span + id.x;
  if (group < call.query_end) { pass_query(group, l); }
}
