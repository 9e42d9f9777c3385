/// codec: gigabytes of floats per second that each codec encodes and decodes on one core, from normal draws.
///   codec [VALUES] [SECONDS]
/// Prints one line of JSON a codec: the best of many rounds, the bytes on the wire as a share of the floats', and a
/// copy of the same memory to compare with.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/time.hpp"
#include "codec/codec.hpp"

using namespace dtrain;

namespace {

struct Case {
  std::string name;
  codec::Options options;
  double warmed = 1;
};

std::vector<Case> cases() {
  using job::Codec;
  std::vector<Case> all{{"none", {}},
                        {"fp16", {.codec = Codec::fp16}},
                        {"bf16", {.codec = Codec::bf16}},
                        {"onebit", {.codec = Codec::onebit}},
                        {"onebit_plain", {.codec = Codec::onebit, .feedback = false}}};
  for (const int levels : {1, 7, 127, 1023})
    all.push_back({"qsgd_" + std::to_string(levels), {.codec = Codec::qsgd, .levels = levels}});
  for (const double density : {0.001, 0.01, 0.25, 1.0}) {
    all.push_back(
        {"topk_" + std::to_string(density).substr(0, 5), {.codec = Codec::topk, .density = density, .momentum = 0.9f}});
  }
  all.push_back({"zstd_none", {.codec = Codec::zstd}});
  all.push_back({"zstd_bf16", {.codec = Codec::zstd, .inner = Codec::bf16}});
  return all;
}

double best_seconds(double seconds, const std::function<void()>& act) {
  double best = 1e9;
  for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
    const auto begin = Clock::now();
    act();
    best = std::min(best, seconds_since(begin));
  }
  return best;
}

std::vector<float> normal_values(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t k = 0; k < count; ++k) {
    const Block words = draw(1, Purpose::generate, 0, k);
    values[k] = static_cast<float>(normals(words[0], words[1])[0]) * 1e-3f;
  }
  return values;
}

void measure(const Case& one, const std::vector<float>& values, double seconds) {
  const auto encoder = codec::make_encoder(one.options, {.count = values.size()});
  const auto decoder = codec::make_decoder(one.options, values.size());
  std::vector<std::byte> bytes(codec::most_bytes(one.options, values.size()));
  std::vector<float> out(values.size());
  std::size_t used = 0;
  codec::Turn turn{.warmed = one.warmed};
  const double encode = best_seconds(seconds, [&] {
    ++turn.step;
    used = encoder->encode(values, turn, bytes).value();
  });
  const double decode = best_seconds(seconds, [&] {
    if (decoder->decode(std::span(bytes).first(used), out)) std::abort();
  });
  const double size = 4 * static_cast<double>(values.size());
  std::printf("{\"codec\": \"%s\", \"encode_gb_per_s\": %.2f, \"decode_gb_per_s\": %.2f, \"share\": %.4f}\n",
              one.name.c_str(), size / encode / 1e9, size / decode / 1e9, static_cast<double>(used) / size);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? static_cast<std::size_t>(std::atoll(argv[1])) : 669706;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0.3;
  const std::vector<float> values = normal_values(count);
  for (const Case& one : cases()) measure(one, values, seconds);
}
