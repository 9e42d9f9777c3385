#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "base/text.hpp"

using namespace dtrain;

TEST_CASE("philox gives the known answers of its authors") {
  CHECK(philox({0, 0}, {0, 0, 0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a permutation holds every number once and depends on its index") {
  std::vector<std::uint32_t> a, b;
  permutation(7, Purpose::shuffle, 0, 1000, a);
  permutation(7, Purpose::shuffle, 1, 1000, b);
  CHECK(a != b);
  std::sort(a.begin(), a.end());
  std::vector<std::uint32_t> all(1000);
  std::iota(all.begin(), all.end(), 0u);
  CHECK(a == all);
}

TEST_CASE("numbers are what their text says, and nothing is left over") {
  CHECK(parse_number("010") == 10.0);
  CHECK(parse_number("1/255") == 1.0 / 255);
  CHECK(parse_number("1e-4") == 1e-4);
  for (const char* text : {"", "nan", "inf", "0x10", "1 s", "1/0", "1e999", "--1", "1e"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_number(text));
  }
  CHECK(parse_integer("010") == 10);
  CHECK_FALSE(parse_integer("1.0"));
  CHECK_FALSE(parse_integer("99999999999999999999"));
}

TEST_CASE("a quantity is a number and a unit") {
  CHECK(parse_quantity("3 epoch")->unit == "epoch");
  CHECK(parse_quantity("3epoch")->unit == "epoch");
  CHECK(parse_quantity("1e-3 s")->value == 1e-3);
  CHECK(parse_quantity("10")->unit.empty());
  CHECK_FALSE(parse_quantity("epoch"));
}

TEST_CASE("bytes as a limit has them are whole and never too few") {
  CHECK(binary_bytes(0) == "0 KiB");
  CHECK(binary_bytes(1025) == "2 KiB");
  CHECK(binary_bytes(512.0 * 1024 * 1024) == "512 MiB");
  CHECK(binary_bytes(512.0 * 1024 * 1024 + 1) == "513 MiB");
  CHECK(binary_bytes(3000.0 * 1024 * 1024) == "3,000 MiB");
}

TEST_CASE("the nearest name is what was probably meant, or none") {
  const std::vector<std::string> names{"learning_rate", "momentum", "batch"};
  CHECK(nearest("learnig_rate", names) == "learning_rate");
  CHECK(nearest("bacth", names) == "batch");
  CHECK_FALSE(nearest("dropout", names));
}

TEST_CASE("sha256 gives the standard's answer") {
  CHECK(sha256(bytes_of("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("an error tells what was tried, where and why, outermost first") {
  Error error(Kind::data, Place{"a.csv", 3, 7}, "expected a number, got \"x\"");
  error.during("reading the training rows");
  CHECK(std::string(error.what()) == "reading the training rows: a.csv:3:7: expected a number, got \"x\"");
}

TEST_CASE("a file that cannot be written names its path and reason") {
  CHECK_THROWS_WITH_AS(write_file("/proc/nowhere/x", "text"),
                       "cannot create /proc/nowhere/x: No such file or directory", Error);
}
