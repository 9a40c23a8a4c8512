// Rotates pairs (x, y): x' = x cos - y sin, y' = y cos + x sin.

alias Words = vec2<u32>;
alias Floats = vec2<f32>;
alias Turns = vec2<f32>;

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
  key_offset: u32,
  key_batch: u32,
  key_token: u32,
  key_head: u32,
}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> memory0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> memory1: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> faults: array<atomic<u32>, 2>;

fn position(axis: u32, row: u32) -> u32 {
  let i = call.position_offset + row;
  return positions[i];
}
fn in_table(row: u32) -> bool {
  return position(0u, row) < call.position_limit;
}

fn angle_sum(position: u32, pair: u32) -> vec2<f32> {
  let b = table[(1u + position % 1024u) * 6u + pair];
  let a = table[(1025u + position / 1024u) * 6u + pair];
  let cos = difference(a.x, b.x, a.y, b.y) + (a.x * b.z + a.z * b.x - a.y * b.w - a.w * b.y);
  let sin = difference(a.y, b.x, -a.x, b.y) + (a.y * b.z + a.w * b.x + a.x * b.w + a.z * b.y);
  let d = angle_rounding(position, table[pair]);
  let d2 = d * d;
  let c = -d2 * (0.5 - d2 * (1.0 / 24.0 - d2 * (1.0 / 720.0 - d2 / 40320.0)));
  let s = d * (1.0 - d2 * (1.0 / 6.0 - d2 * (1.0 / 120.0 - d2 * (1.0 / 5040.0 - d2 / 362880.0))));
  return vec2<f32>(cos + (cos * c - sin * s), sin + (sin * c + cos * s));
}
// a b - c d
fn difference(a: f32, b: f32, c: f32, d: f32) -> f32 {
  let p = a * b;
  let q = c * d;
  let r = p - q;
  let v = r - p;
  return r + ((p - (r - v)) - (q + v) + (fma(a, b, -p) - fma(c, d, -q)));
}
// What rounding position × frequency to float32 adds to it. frequency: mantissa and scale.
fn angle_rounding(position: u32, frequency: vec4<f32>) -> f32 {
  let mantissa = u32(frequency.x);
  let m = vec2<u32>(mantissa & 0xfffu, mantissa >> 12u);
  let p = vec2<u32>(position & 0xfffu, position >> 12u);
  let middle = m.x * p.y + m.y * p.x;
  let sum = m.x * p.x + ((middle & 0xfffu) << 12u);
  let low = sum & 0xffffffu;
  let high = m.y * p.y + (middle >> 12u) + (sum >> 24u);
  if (high == 0u) { return 0.0; }
  let lost = firstLeadingBit(high) + 1u;
  let rest = low & ((1u << lost) - 1u);
  let half = 1u << (lost - 1u);
  let odd = select(low >> lost, high, lost == 24u) & 1u;
  let up = rest > half || (rest == half && odd == 1u);
  return select(-f32(rest), f32((1u << lost) - rest), up) * frequency.y;
}

struct Turn {
  cos: Turns,
  sin: Turns,
}
fn turn(row: u32, pair: u32) -> Turn {
  let t0 = angle_sum(position(0u, row), pair);
  let t1 = angle_sum(position(0u, row), pair + 1u);
  return Turn(Turns(t0.x, t1.x) * call.cos_factor, Turns(t0.y, t1.y) * call.sin_factor);
}

fn load_key(e: u32) -> vec2<u32> { return memory1[e / 2u]; }
fn store_key(e: u32, w: vec2<u32>) { memory1[e / 2u] = w; }
fn rotate_key(unit: u32, row: u32, batch: u32, token: u32, head: u32, in_range: bool) {
  let src = call.key_offset + batch * call.key_batch + token * call.key_token + head * call.key_head;
  let pair = unit * 2u;
  let i = pair;
  let j = i + 6u;
  if (!in_range) { return; }
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
  let unit = index % 3u;
  let head = index / 3u % call.heads;
  let place = index / 3u / call.heads;
  let batch = place / call.tokens;
  let token = place % call.tokens;
  let row = batch * call.batch_rows + token;
  let in_range = in_table(row);
  if (!in_range && unit == 0u && head == 0u) {
    atomicAdd(&faults[0], 1u);
    atomicMax(&faults[1], ~row);
  }
  rotate_key(unit, row, batch, token, head, in_range);
}
