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
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read_write> memory0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> faults: array<atomic<u32>, 2>;

const axis_of_pair = array<u32, 8>(0, 1, 2, 0, 1, 2, 0, 1);
fn position(axis: u32, row: u32) -> u32 {
  let i = call.position_offset + axis * call.position_axis + row;
  return select(0xffffffffu, positions[2u * i], positions[2u * i + 1u] == 0u);
}
fn in_table(row: u32) -> bool {
  var all_are = true;
  for (var axis = 0u; axis < 3u; axis++) { all_are = all_are && position(axis, row) < call.position_limit; }
  return all_are;
}

struct Turn {
  cos: Turns,
  sin: Turns,
}
fn turn(row: u32, pair: u32) -> Turn {
  let t0 = position(axis_of_pair[pair], row) * 16u + pair;
  let t1 = position(axis_of_pair[pair + 1u], row) * 16u + pair + 1u;
  let t2 = position(axis_of_pair[pair + 2u], row) * 16u + pair + 2u;
  let t3 = position(axis_of_pair[pair + 3u], row) * 16u + pair + 3u;
  return Turn(Turns(table[t0], table[t1], table[t2], table[t3]) * call.cos_factor, Turns(table[t0 + 8u], table[t1 + 8u], table[t2 + 8u], table[t3 + 8u]) * call.sin_factor);
}

fn load_query(e: u32) -> vec4<u32> { return memory0[e / 4u]; }
fn store_query(e: u32, w: vec4<u32>) { memory0[e / 4u] = w; }
fn rotate_query(unit: u32, row: u32, batch: u32, token: u32, head: u32, in_range: bool) {
  let src = call.query_offset + batch * call.query_batch + token * call.query_token + head * call.query_head;
  let pair = unit * 4u;
  let i = pair / 4u * 8u + pair % 4u;
  let j = i + 4u;
  if (!in_range) { return; }
  let t = turn(row, pair);
  let x = bitcast<Floats>(load_query(src + i));
  let y = bitcast<Floats>(load_query(src + j));
  store_query(src + i, bitcast<Words>(x * t.cos - y * t.sin));
  store_query(src + j, bitcast<Words>(y * t.cos + x * t.sin));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let index = id.y * call.span + id.x;
  if (index >= call.count) { return; }
  let unit = index % 2u;
  let head = index / 2u % call.heads;
  let place = index / 2u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let in_range = in_table(row);
  if (!in_range && unit == 0u && head == 0u) {
    atomicAdd(&faults[0], 1u);
    atomicMax(&faults[1], ~row);
  }
  rotate_query(unit, row, batch, token, head, in_range);
}
