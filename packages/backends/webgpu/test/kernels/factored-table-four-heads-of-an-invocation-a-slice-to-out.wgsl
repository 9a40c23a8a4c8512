// Rotates pairs (x, y): x' = x cos - y sin, y' = y cos + x sin.

alias Words = vec4<u32>;
alias Floats = vec4<f32>;
alias Turns = vec4<f32>;

struct Call {
  count: u32,
  span: u32,
  tokens: u32,
  batch_rows: u32,
  heads: u32,
  query_heads: u32,
  position_offset: u32,
  position_axis: u32,
  position_limit: u32,
  cos_factor: f32,
  sin_factor: f32,
  query_offset: u32,
  query_batch: u32,
  query_token: u32,
  query_head: u32,
  key_offset: u32,
  key_batch: u32,
  key_token: u32,
  key_head: u32,
  key_out_offset: u32,
  key_out_batch: u32,
  key_out_token: u32,
  key_out_head: u32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> memory0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> memory1: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> memory2: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read_write> faults: array<atomic<u32>, 2>;

fn position(axis: u32, row: u32) -> u32 {
  let i = call.position_offset + row;
  return positions[i];
}
fn in_table(row: u32) -> bool {
  return position(0u, row) < call.position_limit;
}

fn angle_sum(position: u32, pair: u32) -> vec2<f32> {
  let b = table[(1u + position % 1024u) * 32u + pair];
  let a = table[(1025u + position / 1024u) * 32u + pair];
  let cos = difference(a.x, b.x, a.y, b.y) + (a.x * b.z + a.z * b.x - a.y * b.w - a.w * b.y);
  let sin = difference(a.y, b.x, -a.x, b.y) + (a.y * b.z + a.w * b.x + a.x * b.w + a.z * b.y);
  return vec2<f32>(cos, sin);
}
// a b - c d
fn difference(a: f32, b: f32, c: f32, d: f32) -> f32 {
  let p = a * b;
  let q = c * d;
  let r = p - q;
  let v = r - p;
  return r + ((p - (r - v)) - (q + v) + (fma(a, b, -p) - fma(c, d, -q)));
}

struct Turn {
  cos: Turns,
  sin: Turns,
}
fn turn(row: u32, pair: u32) -> Turn {
  let t0 = angle_sum(position(0u, row), pair);
  let t1 = angle_sum(position(0u, row), pair + 1u);
  let t2 = angle_sum(position(0u, row), pair + 2u);
  let t3 = angle_sum(position(0u, row), pair + 3u);
  return Turn(Turns(t0.x, t1.x, t2.x, t3.x) * call.cos_factor, Turns(t0.y, t1.y, t2.y, t3.y) * call.sin_factor);
}

fn load_query(e: u32) -> vec4<u32> { return memory0[e / 4u]; }
fn store_query(e: u32, w: vec4<u32>) { memory0[e / 4u] = w; }
fn rotate_query(unit: u32, row: u32, batch: u32, token: u32, head: u32, in_range: bool, t: Turn) {
  let src = call.query_offset + batch * call.query_batch + token * call.query_token + head * call.query_head;
  if (unit >= 8u) {
    return;
  }
  let pair = unit * 4u;
  let i = pair;
  let j = i + 32u;
  if (!in_range) { return; }
  let x = bitcast<Floats>(load_query(src + i));
  let y = bitcast<Floats>(load_query(src + j));
  store_query(src + i, bitcast<Words>(x * t.cos - y * t.sin));
  store_query(src + j, bitcast<Words>(y * t.cos + x * t.sin));
}

fn load_key(e: u32) -> vec4<u32> { return memory1[e / 4u]; }
fn store_key(e: u32, w: vec4<u32>) { memory2[e / 4u] = w; }
fn rotate_key(unit: u32, row: u32, batch: u32, token: u32, head: u32, in_range: bool, t: Turn) {
  let src = call.key_offset + batch * call.key_batch + token * call.key_token + head * call.key_head;
  let dst = call.key_out_offset + batch * call.key_out_batch + token * call.key_out_token + head * call.key_out_head;
  if (unit >= 8u) {
    let i = (unit - 8u) * 4u + 64u;
    store_key(dst + i, load_key(src + i));
    return;
  }
  let pair = unit * 4u;
  let i = pair;
  let j = i + 32u;
  if (!in_range) { store_key(dst + i, load_key(src + i)); store_key(dst + j, load_key(src + j)); return; }
  let x = bitcast<Floats>(load_key(src + i));
  let y = bitcast<Floats>(load_key(src + j));
  store_key(dst + i, bitcast<Words>(x * t.cos - y * t.sin));
  store_key(dst + j, bitcast<Words>(y * t.cos + x * t.sin));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.y * call.span + id.x;
  if (index >= call.count) { return; }
  let unit = index % 16u;
  let head = index / 16u % call.heads * 4u;
  let place = index / 16u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let in_range = in_table(row);
  if (!in_range && unit == 0u && head == 0u) {
    atomicAdd(&faults[0], 1u);
    atomicMax(&faults[1], ~row);
  }
  let pair = unit * 4u;
  var t: Turn;
  if (in_range && unit < 8u) { t = turn(row, pair); }
  if (head < call.query_heads) { for (var h = 0u; h < 4u; h++) { rotate_query(unit, row, batch, token, head + h, in_range, t); } } else { for (var h = 0u; h < 4u; h++) { rotate_key(unit, row, batch, token, head - call.query_heads + h, in_range, t); } }
}
