#include <doctest/doctest.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>

#include "../fuzz/codec_door.hpp"
#include "base/file.hpp"
#include "codec_support.hpp"

using namespace dtrain;
using namespace dtrain::codec;
using job::Codec;

namespace {

namespace fs = std::filesystem;

fs::path corpus() {
  const fs::path build = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  return (build / __FILE__).parent_path().parent_path() / "fuzz" / "corpus" / "codec";
}

template <class T>
Bytes with(Bytes bytes, std::size_t at, T value) {
  REQUIRE(at + sizeof value <= bytes.size());
  std::memcpy(bytes.data() + at, &value, sizeof value);
  return bytes;
}

Bytes zstd_frame(const Bytes& content, bool declares_size = true) {
  Bytes frame(ZSTD_compressBound(content.size()));
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, declares_size ? 1 : 0);
  frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), content.data(), content.size()));
  ZSTD_freeCCtx(context);
  return frame;
}

const Options sparse{.codec = Codec::topk, .density = 0.01, .first_density = 0.01};
const Options dense{.codec = Codec::topk, .density = 0.5, .first_density = 0.5};
const Options packed{.codec = Codec::zstd};

}  // namespace

TEST_CASE("bytes that were cut anywhere, or have one more, are refused by every codec") {
  for (const Options& options : options_at_the_door)
    for (const std::size_t n : {0u, 1u, 9u, 600u, 70000u}) {
      CAPTURE(static_cast<int>(options.codec));
      Bytes bytes = encoded_once(options, normal_values(n, 1));
      CHECK(refusal_of(options, bytes, n) == "");
      const std::size_t stride = 1 + bytes.size() / 500;
      for (std::size_t length = 0; length < bytes.size(); length += stride)
        REQUIRE(refusal_of(options, std::span(bytes).first(length), n) != "");
      bytes.push_back(std::byte{0});
      CHECK(refusal_of(options, bytes, n) != "");
    }
}

TEST_CASE("a vector of another count is refused") {
  for (const Options& options : options_at_the_door) {
    // The bytes of topk tell only how many of the values they hold.
    if (options.codec == Codec::topk || options.inner == Codec::topk) continue;
    const Bytes bytes = encoded_once(options, normal_values(1000, 1));
    CHECK(refusal_of(options, bytes, 992) != "");
    CHECK(refusal_of(options, bytes, 1009) != "");
  }
}

TEST_CASE("no change of bytes makes a decoder write beyond its vector or stop the program") {
  std::mt19937 engine(4);
  for (const Options& options : options_at_the_door)
    for (const std::size_t n : {3u, 600u, 70000u}) {
      const Bytes sound = encoded_once(options, normal_values(n, 2));
      const auto decoder = make_decoder(options, n);
      Floats out(n + 16, -7.0f);
      for (int round = 0; round < 300; ++round) {
        Bytes bytes = sound;
        for (std::uint32_t change = 0; change <= engine() % 3; ++change)
          bytes[engine() % (round % 2 == 0 ? std::min<std::size_t>(bytes.size(), 24) : bytes.size())] =
              static_cast<std::byte>(engine());
        (void)decoder->decode(bytes, std::span(out).first(n));
        for (std::size_t k = n; k < out.size(); ++k) REQUIRE(out[k] == -7.0f);
      }
    }
}

TEST_CASE("qsgd refuses norms that are negative or not finite, levels beyond s, and bits where no value is") {
  const float inf = std::numeric_limits<float>::infinity();
  const Options options{.codec = Codec::qsgd, .levels = 5};
  const Bytes sound = encoded_once(options, normal_values(5, 1));
  REQUIRE(sound.size() == 7);
  for (const float norm : {-1.0f, -0.0f, inf, -inf, std::numeric_limits<float>::quiet_NaN()})
    CHECK(refusal_of(options, with(sound, 0, norm), 5) == "a norm is negative or not finite");
  for (int level = -8; level < 8; ++level) {
    const auto lower = static_cast<std::uint8_t>(level & 15), upper = static_cast<std::uint8_t>((level & 15) << 4);
    const bool good = std::abs(level) <= 5;
    CHECK((refusal_of(options, with(sound, 4, lower), 5) == "") == good);
    CHECK((refusal_of(options, with(sound, 4, upper), 5) == "") == good);
    CHECK((refusal_of(options, with(sound, 6, upper), 5) == "") == (level == 0));
  }
  const Options wide{.codec = Codec::qsgd, .levels = 1000};
  const Bytes many = encoded_once(wide, normal_values(600, 1));
  CHECK(refusal_of(wide, with(many, 4, std::int16_t{1000}), 600) == "");
  CHECK(refusal_of(wide, with(many, 4, std::int16_t{1001}), 600) == "a level is beyond the largest");
  CHECK(refusal_of(wide, with(many, many.size() - 2, std::int16_t{-32768}), 600) == "a level is beyond the largest");
}

TEST_CASE("onebit refuses means of the wrong sign or not finite, and bits where no value is") {
  const Options options{.codec = Codec::onebit};
  const Bytes sound = encoded_once(options, normal_values(515, 1));
  const std::size_t second = 8 + 64;
  REQUIRE(sound.size() == second + 8 + 1);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    for (const std::size_t at : {std::size_t{0}, std::size_t{4}, second, second + 4})
      CHECK(refusal_of(options, with(sound, at, bad), 515) == "a mean is not finite");
  CHECK(refusal_of(options, with(sound, 0, -1.0f), 515) == "a mean has the other one's sign");
  CHECK(refusal_of(options, with(sound, second + 4, 1.0f), 515) == "a mean has the other one's sign");
  CHECK(refusal_of(options, with(sound, second + 8, std::uint8_t{7}), 515) == "");
  CHECK(refusal_of(options, with(sound, second + 8, std::uint8_t{8}), 515) == "sign bits are set where no value is");
}

TEST_CASE("topk refuses too many values, and indices that do not ascend, are out of range or of another number") {
  const std::size_t n = 66000;
  const Bytes sound = encoded_once(sparse, normal_values(n, 1));
  REQUIRE(sound.size() == 4 + 8 + 660 * 6);
  std::uint32_t first_block = 0;
  std::memcpy(&first_block, sound.data() + 4, 4);
  const std::size_t last = 12 + 2 * 659;
  CHECK(refusal_of(sparse, with(sound, 0, std::uint32_t{661}), n) == "661 values, where at most 660 are sent");
  CHECK(refusal_of(sparse, with(sound, 0, std::uint32_t{659}), n) == "3972 bytes, not 3966");
  CHECK(refusal_of(sparse, with(sound, 4, first_block + 1), n) != "");
  CHECK(refusal_of(sparse, with(sound, 8, std::uint32_t{0}), n) ==
        "the blocks name fewer indices than there are values");
  CHECK(refusal_of(sparse, with(sound, 4, ~std::uint32_t{0}), n) ==
        "the blocks name more indices than there are values");
  CHECK(refusal_of(sparse, with(sound, last, std::uint16_t{464}), n) == "an index is out of range");
  CHECK(refusal_of(sparse, with(sound, last, std::uint16_t{463}), n) == "");
  std::uint16_t index = 0;
  std::memcpy(&index, sound.data() + 14, 2);
  CHECK(refusal_of(sparse, with(sound, 12, index), n) == "indices do not ascend");
}

TEST_CASE("topk refuses bits that are set beyond the range or of another number") {
  const Bytes sound = encoded_once(dense, {1, 2, 3, 4, 0, 0, 0, 0, 0, 5});
  REQUIRE(sound.size() == 4 + 2 + 5 * 4);
  CHECK(refusal_of(dense, sound, 10) == "");
  CHECK(refusal_of(dense, with(sound, 4, std::uint8_t{31}), 10) == "as many bits as values are not set");
  CHECK(refusal_of(dense, with(sound, 5, std::uint8_t{0}), 10) == "as many bits as values are not set");
  CHECK(refusal_of(dense, with(sound, 5, std::uint8_t{4}), 10) == "an index is out of range");
}

TEST_CASE("zstd refuses a content that is larger than fits, of no declared size, not one frame, or refused inside") {
  const Bytes plain = encoded_once({}, normal_values(100, 1));
  const Bytes sound = zstd_frame(plain);
  CHECK(refusal_of(packed, sound, 100) == "");
  CHECK(refusal_of(packed, zstd_frame(Bytes(404)), 100) == "404 bytes are declared, where at most 400 fit");
  CHECK(refusal_of(packed, zstd_frame(Bytes(std::size_t{1} << 24)), 100) ==
        "16777216 bytes are declared, where at most 400 fit");
  CHECK(refusal_of(packed, zstd_frame(Bytes(396)), 100) == "396 bytes, not 400");
  CHECK(refusal_of(packed, zstd_frame(plain, false), 100) == "no zstd frame that declares its content's size");
  Bytes twice = zstd_frame(Bytes(200));
  twice.insert(twice.end(), twice.begin(), twice.end());
  CHECK(refusal_of(packed, twice, 100) == "not one whole zstd frame");
  CHECK(refusal_of(packed, plain, 100) == "no zstd frame that declares its content's size");
}

TEST_CASE("zstd refuses a frame that inflates to another size than it declares") {
  const Bytes zeros = zstd_frame(Bytes(400));
  // A frame of one segment below 65,792 bytes: magic, descriptor, then the size less 256 in two bytes.
  REQUIRE((std::to_integer<int>(zeros[4]) >> 5) == 3);
  for (const unsigned declared : {100u, 143u, 145u}) {
    const Bytes lie = with(zeros, 5, static_cast<std::uint16_t>(declared));
    CHECK(refusal_of({.codec = Codec::zstd}, lie, 1000) != "");
    CHECK(refusal_of({.codec = Codec::zstd}, lie, (declared + 256) / 4) != "");
  }
}

TEST_CASE("every input of the fuzzer's corpus is decoded or refused as its name says") {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(corpus())) {
    const std::string name = entry.path().filename().string(), text = read_file(entry.path(), Kind::internal);
    CAPTURE(name);
    const auto input = input_of(std::as_bytes(std::span(text.data(), text.size())));
    REQUIRE(input.has_value());
    const std::string refusal = refusal_of(input->options, input->bytes, input->count);
    CAPTURE(refusal);
    if (name.starts_with("good")) CHECK(refusal == "");
    if (name.starts_with("bad")) CHECK(refusal != "");
    ++seen;
  }
  CHECK(seen > 25);
}
