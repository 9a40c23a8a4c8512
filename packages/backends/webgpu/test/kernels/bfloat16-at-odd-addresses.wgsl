// Rotates pairs (x, y): x' = x cos - y sin, y' = y cos + x sin.

alias Words = u32;
alias Floats = f32;
alias Turns = f32;

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
  query_element: u32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> memory0: array<atomic<u32>>;

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
  let at = row * 6u + pair;
  return Turn(table[at], table[at + 3u]);
}

fn load_query(e: u32) -> u32 { return (atomicLoad(&memory0[e / 2u]) >> (16u * (e & 1u))) & 0xffffu; }
fn store_query(e: u32, w: u32) { let s = 16u * (e & 1u); atomicAnd(&memory0[e / 2u], ~(0xffffu << s)); atomicOr(&memory0[e / 2u], w << s); }
fn rotate_query(unit: u32, row: u32, batch: u32, token: u32, head: u32) {
  let src = call.query_offset + batch * call.query_batch + token * call.query_token + head * call.query_head;
  let pair = unit * 1u;
  let i = pair;
  let j = i + 3u;
  let t = turn(row, pair);
  let x = from_bfloat16(load_query(src + i * call.query_element));
  let y = from_bfloat16(load_query(src + j * call.query_element));
  store_query(src + i * call.query_element, to_bfloat16(x * t.cos - y * t.sin));
  store_query(src + j * call.query_element, to_bfloat16(y * t.cos + x * t.sin));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.y * call.span + id.x;
  if (index >= call.count) { return; }
  let unit = index % 3u;
  let head = index / 3u % call.heads;
  let place = index / 3u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  rotate_query(unit, row, batch, token, head);
}
