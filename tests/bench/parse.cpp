/// How fast a CSV file is parsed:  bench_parse FILE [--threads N] [--rounds N]
///
/// Prints the megabytes (10^6 bytes) of text a second of each round. The file is read before, so that no disk is
/// measured; its last column is the target.

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "data/contents.hpp"
#include "data/csv_table.hpp"

using namespace dtrain;

int main(int count, char** words) {
  std::string file;
  std::size_t threads = 1;
  int rounds = 5;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--threads" && i + 1 < count) {
      threads = std::stoul(words[++i]);
    } else if (word == "--rounds" && i + 1 < count) {
      rounds = std::stoi(words[++i]);
    } else {
      file = word;
    }
  }
  if (file.empty()) return std::fputs("usage: bench_parse FILE [--threads N] [--rounds N]\n", stderr), 2;
  try {
    const data::Contents contents = data::read_contents(file);
    job::Data data;
    data.format = job::Format::csv;
    const auto bytes = static_cast<double>(contents.bytes().size());
    for (int round = 0; round < rounds; ++round) {
      const auto begin = std::chrono::steady_clock::now();
      const data::Table table =
          data::parse_csv({{file, contents.bytes()}}, "", data, nullptr, false, {std::size_t{4} << 20, threads});
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      fmt::print("dtrain {} {:.1f}\n", table.rows(), bytes / 1e6 / took.count());
    }
  } catch (const Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
  return 0;
}
