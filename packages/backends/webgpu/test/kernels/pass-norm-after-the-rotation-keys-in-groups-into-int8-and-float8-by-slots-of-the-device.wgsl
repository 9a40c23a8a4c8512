// From projection to cache: norm, rotation of pairs (x' = x cos - y sin, y' = y cos + x sin), factor, write.

alias Words = vec4<u32>;
alias Floats = vec4<f32>;
alias Turns = vec4<f32>;
const NONE = 0xffffffffu;

struct Call {
  span: u32,
  tokens: u32,
  batch_rows: u32,
  key_end: u32,
  key_heads: u32,
  key_places: u32,
  key_offset: u32,
  key_batch: u32,
  key_token: u32,
  key_head: u32,
  key_group: u32,
  key_group_heads: u32,
  key_out_offset: u32,
  key_out_batch: u32,
  key_out_token: u32,
  key_out_head: u32,
  key_out_slots: u32,
  key_out_block: u32,
  key_out_limit: u32,
  key_out_scales_offset: u32,
  key_out_scales_batch: u32,
  key_out_scales_token: u32,
  key_out_scales_head: u32,
  key_epsilon: f32,
  key_weight: u32,
  key_term: f32,
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
  value_out_limit: u32,
  value_out_scale: f32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> memory0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> memory1: array<u32>;
@group(0) @binding(4) var<storage, read_write> memory2: array<u32>;
@group(0) @binding(5) var<storage, read> memory3: array<u32>;
@group(0) @binding(6) var<storage, read> memory4: array<vec4<u32>>;
@group(0) @binding(7) var<storage, read_write> memory5: array<u32>;
@group(0) @binding(8) var<storage, read_write> faults: array<atomic<u32>, 4>;
var<workgroup> chunks: array<Floats, 272>;
var<workgroup> sums: array<f32, 272>;

fn split8(w: u32) -> Words { return (Words(w) >> Words(0u, 8u, 16u, 24u)) & Words(0xffu); }
fn join8(b: Words) -> u32 { return b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u); }

fn from_int8(w: u32) -> Floats { return Floats(bitcast<vec4<i32>>(split8(w) << Words(24u)) >> Words(24u)); }
// To the nearest, ties to even.
fn to_int8(value: Floats) -> u32 {
  return join8(bitcast<Words>(vec4<i32>(round(clamp(value, Floats(-127.0), Floats(127.0))))) & Words(0xffu));
}

fn from_float8_e4m3(w: u32) -> Floats {
  let b = split8(w);
  let size = b & Words(0x7fu);
  let small = bitcast<Words>(Floats(size) * 0.001953125);
  let value = select((size << Words(20u)) + Words(0x3c000000u), small, size < Words(8u));
  let bits = select(value, Words(0x7fc00000u), size == Words(0x7fu));
  return bitcast<Floats>(bits | ((b & Words(0x80u)) << Words(24u)));
}
// To the nearest, ties to even; beyond 448 to 448.
fn to_float8_e4m3(value: Floats) -> u32 {
  let bits = bitcast<Words>(value);
  let size = bits & Words(0x7fffffffu);
  let normal = (size - Words(0x3c000000u) + Words(0x7ffffu) + ((size >> Words(20u)) & Words(1u))) >> Words(20u);
  let small = bitcast<Words>(abs(value) + 16384.0) - Words(0x46800000u);
  let b = select(select(normal, small, size < Words(0x3c800000u)), Words(0x7eu), size >= Words(0x43e00000u));
  return join8(select(b, Words(0x7fu), size > Words(0x7f800000u)) | ((bits >> Words(24u)) & Words(0x80u)));
}

struct Turn {
  cos: Turns,
  sin: Turns,
}
fn turn(row: u32, pair: u32) -> Turn {
  let at = row * 16u + pair / 4u;
  return Turn(table[at], table[at + 8u]);
}

fn sum_of_16(l: u32, lane: u32, value: f32) -> f32 {
  sums[l] = value;
  workgroupBarrier();
  for (var half = 8u; half > 0u; half /= 2u) {
    if (lane < half) { sums[l] = sums[l] + sums[l + half]; }
    workgroupBarrier();
  }
  let result = sums[l - lane];
  workgroupBarrier();
  return result;
}

fn largest_of_16(l: u32, lane: u32, value: f32) -> f32 {
  sums[l] = value;
  workgroupBarrier();
  for (var half = 8u; half > 0u; half /= 2u) {
    if (lane < half) { sums[l] = max(sums[l], sums[l + half]); }
    workgroupBarrier();
  }
  let result = sums[l - lane];
  workgroupBarrier();
  return result;
}

fn load_key(base: u32, i: u32) -> vec4<u32> { return memory0[(base + i) / 4u]; }
fn store_key(base: u32, i: u32, w: u32) { memory1[(base + i) / 4u] = w; }
fn load_key_weight(base: u32, i: u32) -> vec4<u32> {
  var w = Words();
  for (var c = 0u; c < 4u; c++) { let e = base + (i + c); w[c] = memory3[e]; }
  return w;
}
fn head_of_key(h: u32) -> u32 {
  return h / call.key_group_heads * call.key_group + h % call.key_group_heads * call.key_head;
}
fn pass_key(group: u32, l: u32) {
  let lane = l % 16u;
  let i = lane * 4u;
  let unit = group * 16u + l / 16u;
  let head = unit % call.key_heads;
  let place = unit / call.key_heads;
  var live = place < call.key_places;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let key_row = call.key_offset + batch * call.key_batch + token * call.key_token;
  let key_out_slot = memory3[call.key_out_slots + place];
  if (live && key_out_slot >= call.key_out_limit) {
    if (key_out_slot != NONE && i == 0u && head == 0u) { atomicAdd(&faults[2], 1u); atomicMax(&faults[3], ~place); }
    live = false;
  }
  let key_out_row = call.key_out_offset + key_out_slot / call.key_out_block * call.key_out_batch + key_out_slot % call.key_out_block * call.key_out_token;
  let key_out_scale_row = call.key_out_scales_offset + key_out_slot / call.key_out_block * call.key_out_scales_batch + key_out_slot % call.key_out_block * call.key_out_scales_token;
  var value = Floats();
  if (live) { value = bitcast<Floats>(load_key(key_row + head_of_key(head), i)); }
  chunks[l] = value;
  workgroupBarrier();
  if (live && i < 64u) {
    let at = i;
    let t = turn(row, at / 32u * 16u + at % 16u);
    let is_first = at % 32u < 16u;
    let other = chunks[select(l - 4u, l + 4u, is_first)];
    value = value * t.cos + other * select(t.sin, -t.sin, is_first);
  }
  let factor = inverseSqrt(sum_of_16(l, lane, dot(value, value)) / 64.0 + call.key_epsilon);
  value = value * factor * (bitcast<Floats>(load_key_weight(call.key_weight, i)) + call.key_term);
  let size = abs(value);
  let scale = largest_of_16(l, lane, max(max(size.x, size.y), max(size.z, size.w))) / 127.0;
  if (live) {
    store_key(key_out_row + head * call.key_out_head, i, to_int8(select(value / scale, Floats(), scale == 0.0)));
    if (lane == 0u) { memory2[key_out_scale_row + head * call.key_out_scales_head] = bitcast<u32>(scale); }
  }
}

fn load_value(base: u32, i: u32) -> vec4<u32> { return memory4[(base + i) / 4u]; }
fn store_value(base: u32, i: u32, w: u32) { memory5[(base + i) / 4u] = w; }
fn pass_value(group: u32, l: u32) {
  let lane = l % 16u;
  let i = lane * 4u;
  let unit = group * 16u + l / 16u;
  let head = unit % call.value_heads;
  let place = unit / call.value_heads;
  var live = place < call.value_places;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let value_row = call.value_offset + batch * call.value_batch + token * call.value_token;
  let value_out_slot = memory3[call.value_out_slots + place];
  if (live && value_out_slot >= call.value_out_limit) {
    if (value_out_slot != NONE && i == 0u && head == 0u) { atomicAdd(&faults[2], 1u); atomicMax(&faults[3], ~place); }
    live = false;
  }
  let value_out_row = call.value_out_offset + value_out_slot / call.value_out_block * call.value_out_batch + value_out_slot % call.value_out_block * call.value_out_token;
  var value = Floats();
  if (live) { value = bitcast<Floats>(load_value(value_row + head * call.value_head, i)); }
  if (live) { store_value(value_out_row + head * call.value_out_head, i, to_float8_e4m3(value / call.value_out_scale)); }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) l: u32) {
  let group = id.y * call.span + id.x;
  if (group < call.key_end) { pass_key(group, l); } else if (group < call.value_end) { pass_value(group - call.key_end, l); }
}
