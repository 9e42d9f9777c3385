// Parsing in parts: what is read does not depend on where a text was cut, and bad rows are counted.

#include <random>

#include "data/csv_table.hpp"
#include "data/libsvm.hpp"
#include "data/number.hpp"
#include "data_support.hpp"

using namespace dtrain;
using namespace dtrain::data;

namespace {

job::Data csv_data() {
  job::Data data;
  data.format = job::Format::csv;
  data.csv.missing = job::Missing::zero;
  return data;
}

Table csv_table(const std::string& text, const job::Data& data, const Cutting& cutting = {}) {
  return parse_csv({{"input", text}}, "", data, nullptr, false, cutting);
}

/// A random CSV text that can be read, with all that makes borders hard to find.
std::string random_csv(std::mt19937_64& random, int rows) {
  const std::vector<std::string> numbers{"1", "-2.5", "3e-2", " 7 ", "+4", "", "NA", "\"12\"", "0.1234567890123456789"};
  const std::vector<std::string> texts{
      "red", "", "\"a,b\"", "\"two\nlines\"", "\"say \"\"hi\"\"\"", "with \" in it", " \"padded\" ", "\"x\n\n,\"\"\n\"",
      "nan", "?"};
  const std::vector<std::string> ends{"\n", "\r\n", "\n\n", "\n  \r\n"};
  const auto pick = [&](const std::vector<std::string>& from) { return from[random() % from.size()]; };
  std::string text = random() % 2 == 0 ? "\xef\xbb\xbf" : "";
  text += "n,t,\"late, text\",y\r\n";
  for (int row = 0; row < rows; ++row) {
    text += pick(numbers) + "," + (row == 0 ? "red" : pick(texts)) + "," + (row < rows / 2 ? "" : pick(texts)) + ",";
    text += row < rows / 3 ? "1.0" : pick({"1", "yes", "no"});
    text += row + 1 < rows || random() % 2 == 0 ? pick(ends) : "";
  }
  return text;
}

std::string random_libsvm(std::mt19937_64& random, int rows) {
  std::string text;
  for (int row = 0; row < rows; ++row) {
    text += random() % 2 == 0 ? "+1" : "-1";
    for (std::uint64_t index = 1 + random() % 9; index < 60; index += 1 + random() % 30)
      text += fmt::format(" {}:{}", index, 1 + random() % 100);
    text += random() % 5 == 0 ? " # note\r\n\n" : "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("a csv text is the same table, byte by byte, however it is cut and on however many threads") {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const std::string text = random_csv(random, 3 + static_cast<int>(seed % 40));
    CAPTURE(text);
    const std::string whole = csv_table(text, csv_data()).bytes();
    for (const std::size_t parts : {1u, 2u, 3u, 7u, 50u}) {
      CAPTURE(parts);
      const Cutting cutting{text.size() / parts + 1, 1 + parts % 4};
      REQUIRE(csv_table(text, csv_data(), cutting).bytes() == whole);
    }
  }
}

TEST_CASE("the place of any cell that is told is the place where it is, however the text was cut") {
  std::string text = "a,b,y\n";
  for (int row = 0; row < 30; ++row) text += fmt::format("{},\"x\n{}\",0\n", row, row);
  for (const std::size_t part_bytes : {1u, 50u, 1000u}) {
    const Folder folder;
    folder.write("f.csv", text);
    const Table table = parse_csv({{"f.csv", text}}, folder.path(), csv_data(), nullptr, false, {part_bytes, 2});
    for (std::uint32_t row = 0; row < 30; ++row) {
      const Place place = table.error(row, 1, "").place();
      CHECK(place.line == static_cast<int>(2 + 2 * row));
      CHECK(place.column == (row < 10 ? 3 : 4));
    }
  }
}

TEST_CASE("a libsvm text is the same table, byte by byte, however it is cut and on however many threads") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const std::string text = random_libsvm(random, 1 + static_cast<int>(seed));
    const std::string whole = parse_libsvm({{"input", text}}, "", {}).bytes();
    for (const std::size_t parts : {1u, 2u, 3u, 7u, 50u})
      REQUIRE(parse_libsvm({{"input", text}}, "", {}, 0, true, {text.size() / parts + 1, 3}).bytes() == whole);
  }
}

TEST_CASE("the short way for plain numbers gives the bits of the long one") {
  std::mt19937_64 random(1);
  std::string text = "x,y\n";
  std::vector<std::string> shown;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t digits = random() >> random() % 64;
    const std::string sign = random() % 2 == 0 ? "-" : "";
    std::string number = fmt::format("{}{}", sign, digits);
    if (random() % 2 == 0) number.insert(sign.size() + random() % (number.size() - sign.size() + 1), ".");
    if (random() % 3 == 0) number += fmt::format("e{}", static_cast<int>(random() % 40) - 20);
    if (read_number(number).kind != Number::finite || !std::isfinite(static_cast<float>(read_number(number).value)))
      continue;
    shown.push_back(number);
    text += number + "," + number + "\n";
  }
  const Table table = csv_table(text, csv_data());
  REQUIRE(table.rows() == std::ssize(shown));
  for (std::uint32_t row = 0; row < table.rows(); ++row) {
    CAPTURE(shown[row]);
    REQUIRE(table.cells(row)[0] == static_cast<float>(read_number(shown[row]).value));
    REQUIRE(table.targets()[row] == read_number(shown[row]).value);
  }
}

TEST_CASE("a column of numbers that holds a text is refused at the first text, whichever comes first") {
  const Folder folder;
  const auto told = [&](const std::string& text) { return refused([&] { survey(csv_job(folder, text)); }); };
  check_contains(told("a,b,y\n1,2,0\n1,x,0\n1,z,0\n"),
                 {"train.csv:3:3", "'x' is not a number", "column 'b' holds numbers elsewhere", "data.csv.categorical",
                  "data.csv.missing_values"});
  check_contains(told("a,b,y\n1,x,0\n1,2,0\n1,z,0\n"), {"train.csv:2:3", "'x' is not a number"});
  check_contains(told("a,b,y\n1,inf,0\n1,2,0\n"), {"train.csv:2:3", "'inf' is not a finite number"});
  check_contains(told("a,b,y\n1,,0\n1,inf,0\n"), {"train.csv:3:3", "'inf' is not a finite number"});
  job::Job job = csv_job(folder, "a,b,y\n1,x,0\n1,2,0\n");
  job.data.csv.categorical = {"b"};
  CHECK(survey(job).encoding.columns[1].levels == std::vector<std::string>{"x", "2"});
  job = csv_job(folder, "a,b,y\n1,inf,0\n1,x,0\n1,nan,1\n");
  CHECK(survey(job).encoding.columns[1].levels == std::vector<std::string>{"inf", "x", ""});
  job.data.columns.emplace_back();
  job.data.columns.back().names = {"b"};
  job.data.columns.back().as = job::ColumnAs::number;
  check_contains(refused([&] { survey(job); }), {"train.csv:2:3", "'inf'"});
}

TEST_CASE("bad rows are left out up to the number that is allowed, and one more is the error") {
  const std::string text = "a,b,y\n1,2,0\n1,x,0\n1,2\n1,inf,0\n3,4,?\n5,6,1\n1,\"2\"x,0\n7,8,1\n";
  const Folder folder;
  job::Job job = csv_job(folder, text);
  for (const auto& [allowed, line, what] :
       {std::tuple{0, 3, "'x'"}, std::tuple{1, 4, "2 fields"}, std::tuple{2, 5, "'inf'"},
        std::tuple{3, 6, "target 'y' has no value"}, std::tuple{4, 8, "closing quote"}}) {
    CAPTURE(allowed);
    job.data.skip_bad_rows = allowed;
    check_contains(refused([&] { survey(job); }), {fmt::format("train.csv:{}", line), what});
  }
  job.data.skip_bad_rows = 5;
  const Survey found = survey(job);
  CHECK(found.facts.skipped_rows == 5);
  CHECK(found.facts.train_rows == 3);
  const Gathered rows = loaded(job);
  CHECK(rows.features == std::vector<std::vector<float>>{{1, 2}, {5, 6}, {7, 8}});
  CHECK(rows.targets == std::vector<float>{0, 1, 1});
  for (const std::size_t part_bytes : {1u, 9u, 20u}) {
    const Table cut = parse_csv({{"train.csv", text}}, folder.path(), job.data, nullptr, false, {part_bytes, 2});
    CHECK(cut.skipped() == 5);
    CHECK(cut.bytes() == parse_csv({{"train.csv", text}}, folder.path(), job.data, nullptr).bytes());
  }
}

TEST_CASE("a text that came before the numbers of its column is a bad row, however the text is cut") {
  const std::string text = "a,y\nx,0\n,0\nz,1\n1,0\n2,1\n";
  job::Data data = csv_data();
  data.skip_bad_rows = 2;
  for (const std::size_t part_bytes : {1u, 5u, 100u}) {
    const Table table = csv_table(text, data, {part_bytes, 1});
    CHECK(table.skipped() == 2);
    CHECK_FALSE(table.columns()[0].text);
    CHECK(table.rows() == 3);
    CHECK(std::isnan(table.cells(0)[0]));
    CHECK(table.cells(2)[0] == 2);
  }
}

TEST_CASE("a regression's target that is a text is a bad row, and of libsvm what is no pair") {
  const Folder folder;
  job::Job job = csv_job(folder, "a,y\n1,2\n1,red\n2,4\n", "", job::Loss::mean_squared_error);
  check_contains(refused([&] { survey(job); }), {"train.csv:3:3", "'red' is not a finite number"});
  job.data.skip_bad_rows = 1;
  CHECK(survey(job).facts.train_rows == 2);
  const Table table = parse_libsvm({{"input", "1 1:1\n2 x\n0 2:1 1:1\n3:4\n0 5:1\n"}}, "", {}, 3);
  CHECK(table.rows() == 2);
  CHECK(table.skipped() == 3);
  CHECK(table.width() == 5);
  CHECK(table.sparse_row(1).indices.size() == 1);
  check_contains(refused([] { parse_libsvm({{"input", "1 1:1\n2 x\n"}}, "", {}, 0); }), {"input:2:3"});
}
