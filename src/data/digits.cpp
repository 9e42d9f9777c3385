// Digits as strokes: each stroke is a polygon of control points, followed straight or as the quadratic B-spline that
// it controls. A stroke is cut into segments, and a segment inks the pixels of its bounding box by their distance.

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "data/generate.hpp"

namespace dtrain::data {
namespace {

struct Point {
  float x = 0, y = 0;
};
Point operator+(Point a, Point b) { return {a.x + b.x, a.y + b.y}; }
Point operator*(float s, Point a) { return {s * a.x, s * a.y}; }

enum class Path { straight, curved, closed };

struct Stroke {
  Path path;
  int count;
  std::array<Point, 6> points;  ///< in [-1, 1] x [-1, 1], y downwards
};

struct Glyph {
  int count;
  std::array<Stroke, 2> strokes;
};

constexpr std::array<Glyph, 10> glyphs{{
    {1, {{{Path::closed, 4, {{{-.8f, -1.05f}, {.8f, -1.05f}, {.8f, 1.05f}, {-.8f, 1.05f}}}}}}},
    {1, {{{Path::straight, 3, {{{-.35f, -.6f}, {.1f, -1}, {.1f, 1}}}}}}},
    {2,
     {{{Path::curved, 6, {{{-.7f, -.45f}, {-.55f, -1.1f}, {.75f, -1.15f}, {.8f, -.2f}, {-.1f, .4f}, {-.75f, 1}}}},
       {Path::straight, 2, {{{-.75f, 1}, {.8f, .95f}}}}}}},
    {2,
     {{{Path::curved, 5, {{{-.7f, -.75f}, {-.3f, -1.15f}, {.8f, -1.1f}, {.75f, -.1f}, {-.2f, -.05f}}}},
       {Path::curved, 5, {{{-.2f, -.05f}, {.95f, -.1f}, {.85f, 1.15f}, {-.3f, 1.15f}, {-.75f, .65f}}}}}}},
    {1, {{{Path::straight, 4, {{{.35f, 1}, {.35f, -1}, {-.75f, .35f}, {.8f, .35f}}}}}}},
    {2,
     {{{Path::straight, 3, {{{.7f, -1}, {-.5f, -1}, {-.6f, -.1f}}}},
       {Path::curved, 6, {{{-.6f, -.1f}, {.1f, -.4f}, {.95f, -.1f}, {.8f, 1.1f}, {-.2f, 1.1f}, {-.7f, .7f}}}}}}},
    {2,
     {{{Path::curved, 4, {{{.5f, -1}, {-.3f, -.85f}, {-.7f, -.1f}, {-.65f, .55f}}}},
       {Path::closed, 4, {{{-.75f, -.05f}, {.75f, -.05f}, {.75f, 1.05f}, {-.75f, 1.05f}}}}}}},
    {1, {{{Path::straight, 3, {{{-.7f, -1}, {.7f, -1}, {-.2f, 1}}}}}}},
    {2,
     {{{Path::closed, 4, {{{-.65f, -1.05f}, {.65f, -1.05f}, {.65f, -.05f}, {-.65f, -.05f}}}},
       {Path::closed, 4, {{{-.78f, -.05f}, {.78f, -.05f}, {.78f, 1.05f}, {-.78f, 1.05f}}}}}}},
    {2,
     {{{Path::closed, 4, {{{-.7f, -1.05f}, {.7f, -1.05f}, {.7f, .1f}, {-.7f, .1f}}}},
       {Path::curved, 4, {{{.62f, -.5f}, {.65f, .1f}, {.55f, .7f}, {.3f, 1}}}}}}},
}};

/// What the draws for one row are for: the `a` of draw(); its `c` counts blocks from 1.
enum Stream : std::uint32_t { pose_draws = 1, point_draws = 2, pixel_draws = 3 };

/// [-1, 1)
float signed_unit(std::uint32_t bits) { return 2 * unit(bits) - 1; }

/// From glyph coordinates to pixels, and the pen.
struct Pose {
  Point origin, x_axis, y_axis;
  float radius, ink;
  Point operator()(Point p) const { return origin + p.x * x_axis + p.y * y_axis; }
};

Pose draw_pose(std::uint64_t seed, std::uint64_t row) {
  const Block first = draw(seed, Purpose::generate, pose_draws, row, 1);
  const Block second = draw(seed, Purpose::generate, pose_draws, row, 2);
  const float angle = 0.24f * signed_unit(first[2]), square = angle * angle;
  const float sine = angle * (1 - square / 6), cosine = 1 - square / 2 * (1 - square / 12);
  const float slant = 0.3f * signed_unit(first[3]);
  const float height = 8.3f * (1 + 0.17f * signed_unit(second[0]));
  const float across = 0.72f * height * (1 + 0.2f * signed_unit(second[1]));
  Pose pose;
  pose.origin = {13.5f + 2.2f * signed_unit(first[0]), 13.5f + 2.2f * signed_unit(first[1])};
  pose.x_axis = {across * cosine, across * sine};
  pose.y_axis = {-height * sine - slant * height * cosine, height * cosine - slant * height * sine};
  pose.radius = 1.1f + 0.5f * signed_unit(second[2]);
  pose.ink = 225 + 30 * signed_unit(second[3]);
  return pose;
}

/// Four pixels of a row at once. Elementwise, so the bits are those of four floats.
using Lanes = float __attribute__((vector_size(16)));
constexpr Index lanes = 4;
static_assert(digit_side % lanes == 0);

class Canvas {
 public:
  explicit Canvas(float radius) : reach_(radius + 0.5f), slope_(1 / (2 * radius)) {}

  /// Inks pixels within `reach` of the segment, 1 at its core; the rest keep what they have.
  void segment(Point a, Point b) {
    const auto [left, right] = range(std::min(a.x, b.x), std::max(a.x, b.x));
    const auto [top, bottom] = range(std::min(a.y, b.y), std::max(a.y, b.y));
    const float dx = b.x - a.x, dy = b.y - a.y, per_length = 1 / std::max(dx * dx + dy * dy, 1e-6f);
    for (Index y = top; y < bottom; ++y) {
      const float py = static_cast<float>(static_cast<int>(y)) - a.y, along_y = py * dy;
      for (Index x = left / lanes * lanes; x < right; x += lanes) {
        const Lanes px = (static_cast<float>(static_cast<int>(x)) - a.x) + Lanes{0, 1, 2, 3};
        Lanes t = (px * dx + along_y) * per_length;
        t = t < 0 ? Lanes{} : t;
        t = t > 1 ? Lanes{} + 1 : t;
        const Lanes off_x = px - t * dx, off_y = py - t * dy;
        const Lanes value = (reach_ * reach_ - (off_x * off_x + off_y * off_y)) * slope_;
        Lanes& pixels = ink_[static_cast<std::size_t>((y * digit_side + x) / lanes)];
        pixels = value > pixels ? value : pixels;
      }
    }
  }

  /// ink of pixels [4 * i, 4 * i + 4), not yet limited to 1
  const Lanes& ink(std::size_t i) const { return ink_[i]; }

 private:
  /// Pixels [first, last) of a row or column that the pen can reach.
  std::pair<Index, Index> range(float low, float high) const {
    const auto first = static_cast<Index>(low - reach_ + 1), last = static_cast<Index>(high + reach_ + 1);
    return {std::clamp<Index>(first, 0, digit_side), std::clamp<Index>(last, 0, digit_side)};
  }
  float reach_, slope_;
  std::array<Lanes, digit_pixels / lanes> ink_{};
};

/// Quadratic Bezier piece from a to b.
void curve(Canvas& canvas, Point a, Point control, Point b) {
  constexpr int pieces = 3;
  Point from = a;
  for (int i = 1; i <= pieces; ++i) {
    const float t = static_cast<float>(i) / pieces, s = 1 - t;
    const Point to = s * s * a + 2 * s * t * control + t * t * b;
    canvas.segment(from, to);
    from = to;
  }
}

void trace(Canvas& canvas, Path path, std::span<const Point> p) {
  const std::size_t n = p.size();
  const auto middle = [&](std::size_t i) { return 0.5f * (p[i % n] + p[(i + 1) % n]); };
  if (path == Path::straight)
    for (std::size_t i = 0; i + 1 < n; ++i) canvas.segment(p[i], p[i + 1]);
  if (path == Path::closed)
    for (std::size_t i = 0; i < n; ++i) curve(canvas, middle(i), p[(i + 1) % n], middle(i + 1));
  if (path == Path::curved)
    for (std::size_t i = 1; i + 1 < n; ++i)
      curve(canvas, i == 1 ? p[0] : middle(i - 1), p[i], i + 2 == n ? p[n - 1] : middle(i));
}

/// Adds up to 128 * `amplitude` of noise to ink * `full`, clamped to a byte.
void develop(const Canvas& canvas, float full, float amplitude, std::uint64_t seed, std::uint64_t row,
             unsigned char* pixels) {
  for (std::uint32_t at = 0; at < digit_pixels; at += 16) {
    const Block block = draw(seed, Purpose::generate, pixel_draws, row, 1 + at / 16);
    for (std::uint32_t k = 0; k < 4; ++k) {
      const std::uint32_t bits = block[k];
      const Lanes noise{static_cast<float>(bits & 0xff), static_cast<float>(bits >> 8 & 0xff),
                        static_cast<float>(bits >> 16 & 0xff), static_cast<float>(bits >> 24)};
      const Lanes ink = canvas.ink(at / 4 + k);
      Lanes value = (ink > 1 ? Lanes{} + 1 : ink) * full + (noise - 127.5f) * amplitude + 0.5f;
      value = value < 0 ? Lanes{} : value;
      value = value > 255 ? Lanes{} + 255 : value;
      for (std::uint32_t lane = 0; lane < 4; ++lane)
        pixels[at + 4 * k + lane] = static_cast<unsigned char>(static_cast<int>(value[lane]));
    }
  }
}

}  // namespace

void draw_digit(std::uint64_t seed, Index row, Index digit, double noise, unsigned char* pixels) {
  const auto number = static_cast<std::uint64_t>(row);
  const Pose pose = draw_pose(seed, number);
  const float jitter = 0.16f * static_cast<float>(std::min(noise, 4.0));
  Canvas canvas(pose.radius);
  const Glyph& glyph = glyphs[static_cast<std::size_t>(digit)];
  std::uint32_t drawn = 0;
  for (const Stroke& stroke : std::span(glyph.strokes).first(static_cast<std::size_t>(glyph.count))) {
    std::array<Point, 6> points;
    const auto count = static_cast<std::size_t>(stroke.count);
    for (std::size_t i = 0; i < count; ++i) {
      const Block block = draw(seed, Purpose::generate, point_draws, number, ++drawn);
      const Point shake{jitter * signed_unit(block[0]), jitter * signed_unit(block[1])};
      points[i] = pose(stroke.points[i] + shake);
    }
    trace(canvas, stroke.path, std::span(points).first(count));
  }
  develop(canvas, pose.ink, 0.22f * static_cast<float>(noise), seed, number, pixels);
}

}  // namespace dtrain::data
