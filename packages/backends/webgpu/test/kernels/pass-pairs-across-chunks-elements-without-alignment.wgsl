// From projection to cache: norm, rotation of pairs (x' = x cos - y sin, y' = y cos + x sin), factor, write.

alias Words = vec4<u32>;
alias Floats = vec4<f32>;
alias Turns = f32;

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
  query_element: u32,
  query_out_offset: u32,
  query_out_batch: u32,
  query_out_token: u32,
  query_out_head: u32,
  query_out_element: u32,
  query_epsilon: f32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> memory0: array<u32>;
@group(0) @binding(3) var<storage, read_write> memory1: array<u32>;
var<workgroup> chunks: array<Floats, 258>;
var<workgroup> sums: array<f32, 258>;

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
  let at = row * 14u + pair;
  return Turn(table[at], table[at + 7u]);
}

fn sum_of_6(l: u32, lane: u32, value: f32) -> f32 {
  sums[l] = value;
  workgroupBarrier();
  for (var half = 4u; half > 0u; half /= 2u) {
    if (lane < half && lane + half < 6u) { sums[l] = sums[l] + sums[l + half]; }
    workgroupBarrier();
  }
  let result = sums[l - lane];
  workgroupBarrier();
  return result;
}

fn load_query(base: u32, i: u32) -> vec4<u32> {
  var w = Words();
  for (var c = 0u; c < min(4u, 22u - i); c++) { let e = base + (i + c) * call.query_element; w[c] = memory0[e]; }
  return w;
}
fn store_query(base: u32, i: u32, w: vec2<u32>) { let at = (base + i) / 2u; memory1[at] = w.x; if (i + 2u < 22u) { memory1[at + 1u] = w.y; } }
fn pass_query(group: u32, l: u32) {
  let lane = l % 6u;
  let i = lane * 4u;
  let unit = group * 42u + l / 6u;
  let head = unit % call.query_heads;
  let place = unit / call.query_heads;
  var live = l < 252u && place < call.query_places;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let query_row = call.query_offset + batch * call.query_batch + token * call.query_token;
  let query_out_row = call.query_out_offset + batch * call.query_out_batch + token * call.query_out_token;
  var value = Floats();
  if (live) { value = bitcast<Floats>(load_query(query_row + head * call.query_head, i)); }
  let factor = inverseSqrt(sum_of_6(l, lane, dot(value, value)) / 22.0 + call.query_epsilon);
  value = value * factor;
  chunks[l] = value;
  workgroupBarrier();
  if (live) {
    for (var c = 0u; c < 4u; c++) {
      let e = i + c;
      if (e >= 3u && e < 17u) {
        let at = e - 3u;
        let t = turn(row, at % 7u);
        let is_first = at < 7u;
        let j = select(e - 7u, e + 7u, is_first);
        let other = chunks[l - lane + j / 4u][j % 4u];
        value[c] = value[c] * t.cos + other * select(t.sin, -t.sin, is_first);
      }
    }
  }
  if (live) { store_query(query_out_row + head * call.query_out_head, i, join(to_bfloat16(value))); }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) l: u32) {
  let group = id.y * call.span + id.x;
  if (group < call.query_end) { pass_query(group, l); }
}
