#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/file.hpp"
#include "base/random.hpp"
#include "wire/frame.hpp"

using namespace dtrain;
using namespace dtrain::wire;

namespace {

const Type types[] = {Type::touch,      Type::join,       Type::ready,    Type::progress,    Type::left,
                      Type::failed,     Type::frozen,     Type::start,    Type::welcome,     Type::stop,
                      Type::abort,      Type::membership, Type::lost,     Type::pull,        Type::refused,
                      Type::push,       Type::leave,      Type::weights,  Type::load,        Type::squares,
                      Type::cut,        Type::goodbye,    Type::snapshot, Type::changed,     Type::traced,
                      Type::decided,    Type::chaos,      Type::sent,     Type::arrived,     Type::save,
                      Type::mark,       Type::partial,    Type::result,   Type::offer,       Type::answer,
                      Type::want,       Type::rows,       Type::batch,    Type::activations, Type::output_gradient,
                      Type::group_part, Type::halt,       Type::go,       Type::take_over,   Type::again,
                      Type::keep,       Type::keep_all,   Type::kept,     Type::coming};

/// A header that contradicts nothing, its other fields of any size.
Header random_header(std::uint64_t seed) {
  std::uint32_t turn = 0;
  const auto bits = [&] { return draw(seed, Purpose::fault, turn++, 0)[0]; };
  const auto wide = [&] {
    const std::uint64_t value = (std::uint64_t{bits()} << 32) | bits();
    return value >> (bits() % 64);
  };
  Header header;
  header.type = types[bits() % std::size(types)];
  header.sender_role = Role{static_cast<std::uint16_t>(bits() % 3)};
  header.sender_rank = bits();
  header.nonce = wide();
  header.incarnation = wide();
  header.epoch = bits();
  header.slice = bits();
  header.sequence = wide();
  header.clock = wide();
  header.piece = bits() / 2;
  header.pieces = header.piece + 1 + bits() / 4;
  header.offset = wide() >> 2;
  header.count = wide() >> 3;
  header.rows = wide();
  header.due = wide();
  header.note = wide();
  if (hashes_payload(header.type)) {
    header.payload = wide();
    header.payload_hash = wide();
    return header;
  }
  switch (bits() % 3) {
    case 0: header.payload = 4 * header.count; break;
    case 1: header.codec = static_cast<std::uint16_t>(1 + bits() % 0xffff), header.payload = wide(); break;
    default: header.block = 1 + wide() / 2, header.place = wide(), header.at = wide() >> 2;
  }
  return header;
}

/// Why `bytes` are refused; "" if they are not.
std::string refusal(std::span<const std::byte> bytes) {
  const auto decoded = decode(bytes);
  const auto* refused = std::get_if<Refusal>(&decoded);
  return refused != nullptr ? refused->why : "";
}

std::string refusal(const Header& header) { return refusal(encode(header)); }

Header push_header() {
  Header header;
  header.type = Type::push;
  header.count = 2;
  header.payload = 8;
  return header;
}

/// The folder of the fuzzer's corpus, beside this source file as the compiler was told its name.
fs::path corpus() {
  if (const char* root = std::getenv("DTRAIN_SOURCE_ROOT")) return fs::path(root) / "tests/fuzz/corpus/frame";
  return fs::path(__FILE__).parent_path().parent_path() / "fuzz/corpus/frame";
}

}  // namespace

TEST_CASE("a header decodes to what was encoded, whatever its fields") {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    CAPTURE(seed);
    const Header header = random_header(seed);
    const auto decoded = decode(encode(header));
    REQUIRE(std::holds_alternative<Header>(decoded));
    CHECK(std::get<Header>(decoded) == header);
  }
}

TEST_CASE("a header lies in memory as its grammar says, lowest byte first") {
  Header header = push_header();
  header.sender_role = Role::worker;
  header.sender_rank = 0x01020304;
  header.nonce = 0x1122334455667788;
  header.clock = 5;
  header.rows = 64;
  header.due = 0x0807060504030201;
  header.note = 0x2030;
  header.place = 0x0a0b;
  const auto bytes = encode(header);
  const auto at = [&](std::size_t k) { return std::to_integer<int>(bytes[k]); };
  CHECK(std::memcmp(bytes.data(), "1RTD", 4) == 0);
  CHECK(at(4) == 5);
  CHECK(at(6) == 33);
  CHECK(at(10) == 2);
  CHECK(at(12) == 4);
  CHECK(at(15) == 1);
  CHECK(at(16) == 0x88);
  CHECK(at(23) == 0x11);
  CHECK(at(48) == 5);
  CHECK(at(60) == 1);
  CHECK(at(72) == 2);
  CHECK(at(80) == 64);
  CHECK(at(88) == 1);
  CHECK(at(95) == 8);
  CHECK(at(96) == 0x30);
  CHECK(at(97) == 0x20);
  CHECK(at(104) == 0);
  CHECK(at(112) == 0x0b);
  CHECK(at(113) == 0x0a);
  CHECK(at(120) == 0);
  CHECK(at(128) == 8);
  CHECK(at(136) == 0);
  Header packed = push_header();
  packed.codec = 0x0405;
  CHECK(std::to_integer<int>(encode(packed)[8]) == 5);
  CHECK(std::to_integer<int>(encode(packed)[9]) == 4);
  Header in_block = push_header();
  in_block.block = 0x0607, in_block.at = 0x0809, in_block.payload = 0;
  const auto apart = encode(in_block);
  CHECK(std::to_integer<int>(apart[104]) == 7);
  CHECK(std::to_integer<int>(apart[105]) == 6);
  CHECK(std::to_integer<int>(apart[120]) == 9);
  CHECK(std::to_integer<int>(apart[121]) == 8);
  CHECK(std::to_integer<int>(apart[128]) == 0);
}

TEST_CASE("a header with any one bit flipped is refused") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    auto bytes = encode(random_header(seed));
    for (std::size_t bit = 0; bit < 8 * header_bytes; ++bit) {
      CAPTURE(seed);
      CAPTURE(bit);
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
      CHECK_FALSE(refusal(bytes).empty());
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    CHECK(refusal(bytes).empty());
  }
}

TEST_CASE("a header cut short at any length, or with a byte too many, is refused") {
  const auto bytes = encode(random_header(1));
  for (std::size_t length = 0; length < header_bytes; ++length)
    CHECK(refusal(std::span(bytes).first(length)) == "a header has 152 bytes, not " + std::to_string(length));
  std::vector<std::byte> longer(bytes.begin(), bytes.end());
  longer.push_back(std::byte{0});
  CHECK(refusal(longer) == "a header has 152 bytes, not 153");
}

TEST_CASE("a header that contradicts itself is refused with the reason") {
  const auto with = [](auto change) {
    Header header = push_header();
    change(header);
    return refusal(header);
  };
  const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(with([](Header&) {}).empty());
  CHECK(with([](Header& h) { h.type = Type{125}; }) == "message type 125 is unknown");
  CHECK(with([](Header& h) { h.type = Type{0}; }) == "message type 0 is unknown");
  CHECK(with([](Header& h) { h.sender_role = Role{4}; }) == "role 4 is unknown");
  CHECK(with([](Header& h) { h.piece = 1; }) == "piece 1 of 1 does not exist");
  CHECK(with([](Header& h) { h.pieces = 0; }) == "piece 0 of 0 does not exist");
  CHECK(with([](Header& h) { h.payload = 12; }) == "2 weights cannot fill 12 bytes");
  CHECK(with([](Header& h) { h.count = (std::uint64_t{1} << 62) + 2; }) ==
        "4611686018427387906 weights cannot fill 8 bytes");
  CHECK(with([](Header& h) { h.payload_hash = 1; }) == "weights and gradients carry no hash, but one is given");
  CHECK(with([&](Header& h) { h.offset = most - 2; }).empty());
  CHECK(with([&](Header& h) { h.offset = most - 1; }) ==
        "weights 9223372036854775806 and 2 more are beyond any vector");
  CHECK(with([](Header& h) { h.offset = ~std::uint64_t{0}; }) ==
        "weights 18446744073709551615 and 2 more are beyond any vector");
  for (const int theirs : {4, 6}) {
    auto other = encode(push_header());
    other[4] = std::byte(theirs);
    CHECK(refusal(other) == "the sender speaks version " + std::to_string(theirs) + " of the wire, this is version 5");
  }
}

TEST_CASE("floats may be packed to any length, or lie in a block; nothing else may, and not both") {
  const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  const std::string neither = "floats in a block are neither packed nor sent";
  for (const Type type : types) {
    CAPTURE(static_cast<int>(type));
    const auto with = [&](auto change) {
      Header header = push_header();
      header.type = type;
      change(header);
      return refusal(header);
    };
    const auto packed = [](Header& h) { h.codec = 7, h.payload = 3; };
    const auto in_block = [](Header& h) { h.block = 1, h.place = 2, h.at = 3, h.payload = 0; };
    if (hashes_payload(type)) {
      CHECK(with(packed) == "only weights and gradients are packed, or lie in a block");
      CHECK(with(in_block) == "only weights and gradients are packed, or lie in a block");
      continue;
    }
    CHECK(with(packed).empty());
    CHECK(with([](Header& h) { h.codec = 7, h.payload = 0; }).empty());
    CHECK(with([](Header& h) { h.codec = 7, h.payload_hash = 1; }) ==
          "weights and gradients carry no hash, but one is given");
    CHECK(with(in_block).empty());
    CHECK(with([&](Header& h) { in_block(h), h.at = most - h.count; }).empty());
    CHECK(with([&](Header& h) { in_block(h), h.at = most - h.count + 1; }) == "no block is that long");
    CHECK(with([&](Header& h) { in_block(h), h.codec = 7; }) == neither);
    CHECK(with([&](Header& h) { in_block(h), h.payload = 8; }) == neither);
  }
}

TEST_CASE("a message type is known if it is in the list, and only then") {
  for (int number = 0; number < 300; ++number) {
    CAPTURE(number);
    Header header;
    header.type = Type{static_cast<std::uint16_t>(number)};
    const bool listed = std::find(std::begin(types), std::end(types), header.type) != std::end(types);
    CHECK(refusal(header).empty() == listed);
  }
}

TEST_CASE("random bytes are refused") {
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    std::vector<std::byte> bytes;
    const std::size_t length = draw(seed, Purpose::fault, 0, 0)[0] % 300;
    for (std::uint32_t k = 0; k < length; ++k) bytes.push_back(std::byte(draw(seed, Purpose::fault, k, 1)[0] & 0xff));
    CHECK_FALSE(refusal(bytes).empty());
  }
}

TEST_CASE("the fuzzer's corpus decodes to headers that encode to the same bytes, or is refused as its name says") {
  int files = 0;
  REQUIRE(fs::is_directory(corpus()));
  for (const auto& entry : fs::directory_iterator(corpus())) {
    ++files;
    CAPTURE(entry.path().string());
    const std::string text = read_file(entry.path(), Kind::data);
    const auto decoded = decode(bytes_of(text));
    const bool sound = std::holds_alternative<Header>(decoded);
    CHECK(sound == entry.path().filename().string().starts_with("good-"));
    if (!sound) continue;
    const auto again = encode(std::get<Header>(decoded));
    CHECK(text == std::string(reinterpret_cast<const char*>(again.data()), again.size()));
  }
  CHECK(files >= 10);
}
