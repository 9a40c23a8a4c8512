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

struct Turn {
  cos: Turns,
  sin: Turns,
}
fn turn(row: u32, pair: u32) -> Turn {
  let at = row * 32u + pair / 4u;
  return Turn(table[at], table[at + 16u]);
}

fn load_query(e: u32) -> vec4<u32> { return memory0[e / 4u]; }
fn store_query(e: u32, w: vec4<u32>) { memory0[e / 4u] = w; }
fn rotate_query(unit: u32, row: u32, batch: u32, token: u32, head: u32) {
  let src = call.query_offset + batch * call.query_batch + token * call.query_token + head * call.query_head;
  let pair = unit * 4u;
  let i = pair;
  let j = i + 64u;
  let t = turn(row, pair);
  let x = bitcast<Floats>(load_query(src + i));
  let y = bitcast<Floats>(load_query(src + j));
  store_query(src + i, bitcast<Words>(x * t.cos - y * t.sin));
  store_query(src + j, bitcast<Words>(y * t.cos + x * t.sin));
}

fn load_key(e: u32) -> vec4<u32> { return memory1[e / 4u]; }
fn store_key(e: u32, w: vec4<u32>) { memory1[e / 4u] = w; }
fn rotate_key(unit: u32, row: u32, batch: u32, token: u32, head: u32) {
  let src = call.key_offset + batch * call.key_batch + token * call.key_token + head * call.key_head;
  let pair = unit * 4u;
  let i = pair;
  let j = i + 64u;
  let t = turn(row, pair);
  let x = bitcast<Floats>(load_key(src + i));
  let y = bitcast<Floats>(load_key(src + j));
  store_key(src + i, bitcast<Words>(x * t.cos - y * t.sin));
  store_key(src + j, bitcast<Words>(y * t.cos + x * t.sin));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.y * call.span + id.x;
  if (index >= call.count) { return; }
  let unit = index % 16u;
  let head = index / 16u % call.heads;
  let place = index / 16u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  if (head < call.query_heads) { rotate_query(unit, row, batch, token, head); } else { rotate_key(unit, row, batch, token, head - call.query_heads); }
}
