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
  query_offset: u32,
  query_batch: u32,
  query_token: u32,
  query_head: u32,
  key_offset: u32,
  key_batch: u32,
  key_token: u32,
  key_head: u32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> memory0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> memory1: array<vec4<u32>>;

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

fn load_query(e: u32) -> vec4<u32> { return memory0[e / 8u]; }
fn store_query(e: u32, w: vec4<u32>) { memory0[e / 8u] = w; }
fn rotate_query(unit: u32, row: u32, batch: u32, token: u32, head: u32) {
  let src = call.query_offset + batch * call.query_batch + token * call.query_token + head * call.query_head;
  let pair = unit * 8u;
  let i = pair;
  let j = i + 64u;
  let t = turn(row, pair);
  let u = turn(row, pair + 4u);
  let x = load_query(src + i);
  let y = load_query(src + j);
  let x0 = from_bfloat16(split(x.xy));
  let y0 = from_bfloat16(split(y.xy));
  let x1 = from_bfloat16(split(x.zw));
  let y1 = from_bfloat16(split(y.zw));
  store_query(src + i, vec4<u32>(join(to_bfloat16(x0 * t.cos - y0 * t.sin)), join(to_bfloat16(x1 * u.cos - y1 * u.sin))));
  store_query(src + j, vec4<u32>(join(to_bfloat16(y0 * t.cos + x0 * t.sin)), join(to_bfloat16(y1 * u.cos + x1 * u.sin))));
}

fn load_key(e: u32) -> vec4<u32> { return memory1[e / 8u]; }
fn store_key(e: u32, w: vec4<u32>) { memory1[e / 8u] = w; }
fn rotate_key(unit: u32, row: u32, batch: u32, token: u32, head: u32) {
  let src = call.key_offset + batch * call.key_batch + token * call.key_token + head * call.key_head;
  let pair = unit * 8u;
  let i = pair;
  let j = i + 64u;
  let t = turn(row, pair);
  let u = turn(row, pair + 4u);
  let x = load_key(src + i);
  let y = load_key(src + j);
  let x0 = from_bfloat16(split(x.xy));
  let y0 = from_bfloat16(split(y.xy));
  let x1 = from_bfloat16(split(x.zw));
  let y1 = from_bfloat16(split(y.zw));
  store_key(src + i, vec4<u32>(join(to_bfloat16(x0 * t.cos - y0 * t.sin)), join(to_bfloat16(x1 * u.cos - y1 * u.sin))));
  store_key(src + j, vec4<u32>(join(to_bfloat16(y0 * t.cos + x0 * t.sin)), join(to_bfloat16(y1 * u.cos + x1 * u.sin))));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.y * call.span + id.x;
  if (index >= call.count) { return; }
  let unit = index % 8u;
  let head = index / 8u % call.heads;
  let place = index / 8u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  if (head < call.query_heads) { rotate_query(unit, row, batch, token, head); } else { rotate_key(unit, row, batch, token, head - call.query_heads); }
}
