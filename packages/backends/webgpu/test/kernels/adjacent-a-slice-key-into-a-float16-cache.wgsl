// Rotates pairs (x, y): x' = x cos - y sin, y' = y cos + x sin.

alias Words = vec4<u32>;
alias Floats = vec4<f32>;
alias Turns = vec2<f32>;

struct Call {
  count: u32,
  span: u32,
  tokens: u32,
  batch_rows: u32,
  heads: u32,
  query_heads: u32,
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
@group(0) @binding(1) var<storage, read> table: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> memory0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> memory1: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> memory2: array<vec2<u32>>;

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

fn load_query(e: u32) -> vec4<u32> { return memory0[e / 4u]; }
fn store_query(e: u32, w: vec4<u32>) { memory0[e / 4u] = w; }
fn rotate_query(unit: u32, row: u32, batch: u32, token: u32, head: u32) {
  let src = call.query_offset + batch * call.query_batch + token * call.query_token + head * call.query_head;
  if (unit >= 8u) {
    return;
  }
  let pair = unit * 2u;
  let i = 16u + 2u * pair;
  let t = turn(row, pair);
  let v = bitcast<Floats>(load_query(src + i));
  let x = v.xz * t.cos - v.yw * t.sin;
  let y = v.yw * t.cos + v.xz * t.sin;
  store_query(src + i, bitcast<Words>(Floats(x.x, y.x, x.y, y.y)));
}

fn load_key(e: u32) -> vec4<u32> { return memory1[e / 4u]; }
fn store_key(e: u32, w: vec2<u32>) { memory2[e / 4u] = w; }
fn rotate_key(unit: u32, row: u32, batch: u32, token: u32, head: u32) {
  let src = call.key_offset + batch * call.key_batch + token * call.key_token + head * call.key_head;
  let dst = call.key_out_offset + batch * call.key_out_batch + token * call.key_out_token + head * call.key_out_head;
  if (unit >= 8u) {
    let i = select((unit - 8u) * 4u, (unit - 8u) * 4u + 32u, (unit - 8u) * 4u >= 16u);
    store_key(dst + i, join(to_float16(bitcast<Floats>(load_key(src + i)))));
    return;
  }
  let pair = unit * 2u;
  let i = 16u + 2u * pair;
  let t = turn(row, pair);
  let v = bitcast<Floats>(load_key(src + i));
  let x = v.xz * t.cos - v.yw * t.sin;
  let y = v.yw * t.cos + v.xz * t.sin;
  store_key(dst + i, join(to_float16(Floats(x.x, y.x, x.y, y.y))));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.y * call.span + id.x;
  if (index >= call.count) { return; }
  let unit = index % 20u;
  let head = index / 20u % call.heads;
  let place = index / 20u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  if (head < call.query_heads) { rotate_query(unit, row, batch, token, head); } else { rotate_key(unit, row, batch, token, head - call.query_heads); }
}
