// From projection to cache: norm, rotation of pairs (x' = x cos - y sin, y' = y cos + x sin), factor, write.

alias Words = vec4<u32>;
alias Floats = vec4<f32>;
alias Turns = vec4<f32>;
const NONE = 0xffffffffu;

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
  key_end: u32,
  key_heads: u32,
  key_places: u32,
  key_offset: u32,
  key_batch: u32,
  key_token: u32,
  key_head: u32,
  key_out_offset: u32,
  key_out_batch: u32,
  key_out_token: u32,
  key_out_head: u32,
  key_out_slots: u32,
  key_out_block: u32,
  key_epsilon: f32,
  key_weight: u32,
  value_end: u32,
  value_heads: u32,
  value_places: u32,
  value_offset: u32,
  value_batch: u32,
  value_token: u32,
  value_head: u32,
  value_out_offset: u32,
  value_out_batch: u32,
  value_out_token: u32,
  value_out_head: u32,
  value_out_slots: u32,
  value_out_block: u32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> memory0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> memory1: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> memory2: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read> memory3: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> memory4: array<vec2<u32>>;
@group(0) @binding(7) var<storage, read> lists: array<vec4<u32>>;
var<workgroup> chunks: array<Floats, 288>;
var<workgroup> sums: array<f32, 288>;

fn split(w: vec2<u32>) -> Words { return Words(w.x & 0xffffu, w.x >> 16u, w.y & 0xffffu, w.y >> 16u); }
fn join(h: Words) -> vec2<u32> { return h.xz | (h.yw << vec2<u32>(16u)); }

fn from_bfloat16(half: Words) -> Floats { return bitcast<Floats>(half << Words(16u)); }
// To the nearest, ties to even.
fn to_bfloat16(value: Floats) -> Words {
  let bits = bitcast<Words>(value);
  let half = (bits + Words(0x7fffu) + ((bits >> Words(16u)) & Words(1u))) >> Words(16u);
  return select(half, (bits >> Words(16u)) | Words(0x40u), (bits & Words(0x7fffffffu)) > Words(0x7f800000u));
}

struct Turn {
  cos: Turns,
  sin: Turns,
}
fn turn(row: u32, pair: u32) -> Turn {
  let at = row * 32u + pair / 4u;
  return Turn(table[at], table[at + 16u]);
}

fn sum_of_32(l: u32, lane: u32, value: f32) -> f32 {
  sums[l] = value;
  workgroupBarrier();
  for (var half = 16u; half > 0u; half /= 2u) {
    if (lane < half) { sums[l] = sums[l] + sums[l + half]; }
    workgroupBarrier();
  }
  let result = sums[l - lane];
  workgroupBarrier();
  return result;
}

fn load_query(base: u32, i: u32) -> vec4<u32> { return memory0[(base + i) / 4u]; }
fn store_query(base: u32, i: u32, w: vec4<u32>) { memory0[(base + i) / 4u] = w; }
fn pass_query(group: u32, l: u32) {
  let lane = l % 32u;
  let i = lane * 4u;
  let unit = group * 8u + l / 32u;
  let head = unit % call.query_heads;
  let place = unit / call.query_heads;
  var live = place < call.query_places;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let query_row = call.query_offset + batch * call.query_batch + token * call.query_token;
  var value = Floats();
  if (live) { value = bitcast<Floats>(load_query(query_row + head * call.query_head, i)); }
  let factor = inverseSqrt(sum_of_32(l, lane, dot(value, value)) / 128.0 + call.query_epsilon);
  value = value * factor * bitcast<Floats>(lists[(call.query_weight + i) / 4u]);
  chunks[l] = value;
  workgroupBarrier();
  if (live && i < 128u) {
    let at = i;
    let t = turn(row, at % 64u);
    let is_first = at < 64u;
    let other = chunks[select(l - 16u, l + 16u, is_first)];
    value = value * t.cos + other * select(t.sin, -t.sin, is_first);
  }
  if (live) { store_query(query_row + head * call.query_head, i, bitcast<Words>(value)); }
}

fn load_key(base: u32, i: u32) -> vec4<u32> { return memory1[(base + i) / 4u]; }
fn store_key(base: u32, i: u32, w: vec2<u32>) { memory2[(base + i) / 4u] = w; }
fn pass_key(group: u32, l: u32) {
  let lane = l % 32u;
  let i = lane * 4u;
  let unit = group * 8u + l / 32u;
  let head = unit % call.key_heads;
  let place = unit / call.key_heads;
  var live = place < call.key_places;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let key_row = call.key_offset + batch * call.key_batch + token * call.key_token;
  let key_out_slot = lists[(call.key_out_slots + place) / 4u][(call.key_out_slots + place) % 4u];
  live = live && key_out_slot != NONE;
  let key_out_row = call.key_out_offset + key_out_slot / call.key_out_block * call.key_out_batch + key_out_slot % call.key_out_block * call.key_out_token;
  var value = Floats();
  if (live) { value = bitcast<Floats>(load_key(key_row + head * call.key_head, i)); }
  let factor = inverseSqrt(sum_of_32(l, lane, dot(value, value)) / 128.0 + call.key_epsilon);
  value = value * factor * bitcast<Floats>(lists[(call.key_weight + i) / 4u]);
  chunks[l] = value;
  workgroupBarrier();
  if (live && i < 128u) {
    let at = i;
    let t = turn(row, at % 64u);
    let is_first = at < 64u;
    let other = chunks[select(l - 16u, l + 16u, is_first)];
    value = value * t.cos + other * select(t.sin, -t.sin, is_first);
  }
  if (live) { store_key(key_out_row + head * call.key_out_head, i, join(to_bfloat16(value))); }
}

fn load_value(base: u32, i: u32) -> vec4<u32> { return memory3[(base + i) / 4u]; }
fn store_value(base: u32, i: u32, w: vec2<u32>) { memory4[(base + i) / 4u] = w; }
fn pass_value(group: u32, l: u32) {
  let lane = l % 32u;
  let i = lane * 4u;
  let unit = group * 8u + l / 32u;
  let head = unit % call.value_heads;
  let place = unit / call.value_heads;
  var live = place < call.value_places;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let value_row = call.value_offset + batch * call.value_batch + token * call.value_token;
  let value_out_slot = lists[(call.value_out_slots + place) / 4u][(call.value_out_slots + place) % 4u];
  live = live && value_out_slot != NONE;
  let value_out_row = call.value_out_offset + value_out_slot / call.value_out_block * call.value_out_batch + value_out_slot % call.value_out_block * call.value_out_token;
  var value = Floats();
  if (live) { value = bitcast<Floats>(load_value(value_row + head * call.value_head, i)); }
  if (live) { store_value(value_out_row + head * call.value_out_head, i, join(to_bfloat16(value))); }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) l: u32) {
  let group = id.y * call.span + id.x;
  if (group < call.query_end) { pass_query(group, l); } else if (group < call.key_end) { pass_key(group - call.query_end, l); } else if (group < call.value_end) { pass_value(group - call.key_end, l); }
}
