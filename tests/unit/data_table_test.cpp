// A table as one block: what comes back is what was written, and what was not written is refused.

#include <random>

#include "data/csv_table.hpp"
#include "data/libsvm.hpp"
#include "data_support.hpp"

using namespace dtrain;
using namespace dtrain::data;

namespace {

std::vector<Table> tables() {
  job::Data data;
  data.format = job::Format::csv;
  job::Job digits = job_for(job::Format::generated);
  digits.data.generate.rows = 5;
  const Survey found = survey(digits);
  const std::vector<std::uint32_t> rows{4, 0};
  return {parse_csv({{"a.csv",
                      "c,x,y\nr\xe9"
                      "d,1,no\n?,2,yes\nblue,,no\n"}},
                    "", data, nullptr),
          parse_libsvm({{"a.txt", "1 2:3 4:5\n0\n0 1:1\n"}}, "", {}),
          load(digits, found.encoding, Part::train, "")->table(rows)};
}

}  // namespace

TEST_CASE("a table that was written is the same table when it is mapped or read from bytes") {
  const Folder folder;
  for (const Table& table : tables()) {
    const std::string bytes = table.bytes();
    table.write(folder.path() + "/t.rows");
    const Table mapped = Table::map(folder.path() + "/t.rows");
    CHECK(read_file(folder.path() + "/t.rows", Kind::data) == bytes);
    CHECK(mapped.bytes() == bytes);
    CHECK(Table::from_bytes(bytes, "t").bytes() == bytes);
    CHECK_NOTHROW(mapped.verify("t"));
    CHECK_NOTHROW(Table::from_bytes(bytes, "t").verify("t"));
    CHECK(mapped.rows() == table.rows());
    CHECK(mapped.hash() == table.hash());
  }
  CHECK(tables()[0].columns()[0].levels[0] ==
        "r\xe9"
        "d");
}

TEST_CASE("a table that is cut short, too long or changed in its header is refused, and changed numbers by verify") {
  for (const Table& table : tables()) {
    const std::string bytes = table.bytes();
    for (std::size_t length = 0; length < bytes.size(); length += 1 + bytes.size() / 97)
      refused([&] { Table::from_bytes(bytes.substr(0, length), "t"); });
    refused([&] { Table::from_bytes(bytes + '\0', "t"); });
    for (std::size_t at = 0; at < 240; ++at) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      CAPTURE(at);
      check_contains(refused([&] { Table::from_bytes(damaged, "t"); }), {"t: not a table of rows"});
    }
    std::string damaged = bytes;
    damaged[256] = static_cast<char>(damaged[256] ^ 1);
    const Table read = Table::from_bytes(damaged, "t");
    check_contains(refused([&] { read.verify("t"); }), {"not those that were written"});
  }
}

TEST_CASE("selected rows are the rows, and make the same features elsewhere") {
  const Folder folder;
  for (const job::Job& job : {csv_job(folder, "c,x,y\nred,1,no\nblue,2,yes\nNA,3,no\ngreen,4,yes\n")}) {
    const Survey found = survey(job);
    const auto rows = load(job, found.encoding, Part::train, "");
    const std::vector<std::uint32_t> chosen{3, 1, 1};
    const Table sent = Table::from_bytes(rows->table(chosen).bytes(), "message");
    const Gathered there = gather_all(*rows_of(sent, found.encoding)), here = gather_all(*rows);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      CHECK(there.features[i] == here.features[chosen[i]]);
      CHECK(there.targets[i] == here.targets[chosen[i]]);
      CHECK(there.targets[i] == rows->targets()[chosen[i]]);
    }
  }
}

TEST_CASE("sparse rows are gathered as the dense ones are, and only where zero stays zero") {
  const Folder folder;
  job::Job job = job_for(job::Format::libsvm, job::Loss::binary_cross_entropy, 1);
  job.data.dir = folder.path();
  folder.write("train.txt", "1 2:3 7:5\n0\n0 1:1 7:2\n");
  job.data.train.features = "train.txt";
  job.data.normalize.scale = 0.5;
  const auto rows = load(job, survey(job).encoding, Part::train, "");
  REQUIRE(rows->sparse());
  const Gathered dense = gather_all(*rows);
  SparseBatch batch;
  std::vector<float> targets(3);
  rows->gather_sparse(std::vector<std::uint32_t>{2, 1, 0}, batch, targets);
  CHECK(batch.begins == std::vector<std::uint32_t>{0, 2, 2, 4});
  for (std::size_t k = 0; k < 3; ++k) {
    std::vector<float> row(7, 0.0f);
    for (std::uint32_t i = batch.begins[k]; i < batch.begins[k + 1]; ++i) row[batch.indices[i]] = batch.values[i];
    CHECK(row == dense.features[2 - k]);
    CHECK(targets[k] == dense.targets[2 - k]);
  }
  job.data.normalize.features = job::Fit::standardize;
  CHECK_FALSE(load(job, survey(job).encoding, Part::train, "")->sparse());
}

TEST_CASE("random bytes and damaged tables are refused or are rows, and nothing else happens") {
  std::mt19937_64 random(3);
  for (const Table& table : tables()) {
    const std::string bytes = table.bytes();
    for (int i = 0; i < 3000; ++i) {
      std::string damaged = bytes;
      for (std::uint64_t changes = 1 + random() % 4; changes > 0; --changes)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      try {
        const Table read = Table::from_bytes(damaged, "t");
        for (std::uint32_t row = 0; row < read.rows(); ++row) read.select(std::vector<std::uint32_t>{row});
      } catch (const Error& error) {
        CHECK(error.kind() == Kind::data);
      }
    }
  }
}
