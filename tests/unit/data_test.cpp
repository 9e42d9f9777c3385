#include <doctest/doctest.h>

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <new>
#include <numeric>
#include <random>
#include <set>

#include "../fuzz/data_doors.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "data/data.hpp"
#include "data/division.hpp"
#include "data/generate.hpp"
#include "data/labels.hpp"
#include "data/number.hpp"
#include "data/worklist.hpp"
#include "data_support.hpp"

using namespace dtrain;
using namespace dtrain::data;

// Counts allocations, so that a test can say that there are none. Not inlined: g++ would see malloc meet delete.
static std::atomic<long> allocations{0};
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

job::Job idx_job(const Folder& folder, const std::string& features, const std::string& labels) {
  job::Job job = job_for(job::Format::idx);
  job.data.dir = folder.path();
  folder.write("features", features);
  folder.write("labels", labels);
  job.data.train = {"features", "labels"};
  return job;
}

job::Job libsvm_job(const Folder& folder, const std::string& train, const std::string& test = "") {
  job::Job job = job_for(job::Format::libsvm, job::Loss::binary_cross_entropy, 1);
  job.data.dir = folder.path();
  folder.write("train.txt", train);
  job.data.train.features = "train.txt";
  if (test.empty()) return job;
  folder.write("test.txt", test);
  job.data.test.features = "test.txt";
  return job;
}

}  // namespace

TEST_CASE("a number is read whole or is not one") {
  CHECK(read_number("+1").value == 1);
  CHECK(read_number("-1e-3").value == -1e-3);
  CHECK(read_number("1e-999").kind == Number::finite);
  for (const char* text : {"nan", "NaN", "inf", "-inf", "Infinity", "1e999"})
    CHECK(read_number(text).kind == Number::nonfinite);
  for (const char* text : {"", "+", "+-1", "1x", "0x10", "1,5", " 1"}) CHECK(read_number(text).kind == Number::text);
}

TEST_CASE("integer labels are ordered by number, others by alphabet, and spelling does not make a class") {
  CHECK(class_order({"10", "9", "-1"}) == std::vector<std::string>{"-1", "9", "10"});
  CHECK(class_order({"b", "10", "9"}) == std::vector<std::string>{"10", "9", "b"});
  CHECK(class_name("+1") == "1");
  CHECK(class_name("1.0") == "1");
  CHECK(class_name("1.5") == "1.5");
  CHECK(class_name(" x") == " x");
}

TEST_CASE("idx rows are the bytes of the file, packed or not, whatever its name") {
  const Folder folder;
  const std::string features = idx(8, {2, 1, 3}, {'\x00', '\x01', '\x02', '\x7f', '\x80', '\xff'});
  const std::string labels = idx(8, {2}, {'\x03', '\x09'});
  const Gathered plain = loaded(idx_job(folder, features, labels));
  CHECK(plain.features == std::vector<std::vector<float>>{{0, 1, 2}, {127, 128, 255}});
  CHECK(plain.targets == std::vector<float>{3, 9});
  CHECK(loaded(idx_job(folder, packed(features), packed(labels))) == plain);
  CHECK(loaded(idx_job(folder, packed(features.substr(0, 7)) + packed(features.substr(7)), labels)) == plain);
}

TEST_CASE("idx of floats, shorts and integers are numbers of their type") {
  const Folder folder;
  const std::string labels = idx(8, {1}, {'\x00'});
  const std::string floats =
      big_endian(std::bit_cast<std::uint32_t>(1.5f)) + big_endian(std::bit_cast<std::uint32_t>(-2.0f));
  CHECK(loaded(idx_job(folder, idx(0x0d, {1, 2}, floats), labels)).features[0] == std::vector<float>{1.5f, -2});
  CHECK(loaded(idx_job(folder, idx(0x0b, {1, 2}, {'\xff', '\xfe', '\x01', '\x00'}), labels)).features[0] ==
        std::vector<float>{-2, 256});
  CHECK(loaded(idx_job(folder, idx(0x0c, {1, 1}, big_endian(70000)), labels)).features[0] == std::vector<float>{70000});
  CHECK(loaded(idx_job(folder, idx(0x09, {1, 1}, "\xff"), labels)).features[0] == std::vector<float>{-1});
}

TEST_CASE("a bad idx file is refused with the byte at which it is bad") {
  const Folder folder;
  const std::string features = idx(8, {2, 2}, "abcd"), labels = idx(8, {2}, {'\x00', '\x01'});
  const auto told = [&](const std::string& f, const std::string& l) {
    return refused([&] { survey(idx_job(folder, f, l)); });
  };
  check_contains(told("P5 1 1 255\n", labels), {"features", "byte 0: bad magic number 0x50352031"});
  check_contains(told(features.substr(0, 15), labels), {"features", "cut short: 16 bytes are expected", "found 15"});
  check_contains(told(features + "e", labels), {"too long: 16 bytes are expected", "found 17"});
  check_contains(told(features.substr(0, 9), labels), {"cut short in the header: 12 bytes", "found 9"});
  check_contains(told(idx(8, {0, 2}, ""), labels), {"there is nothing in it"});
  check_contains(told(features, idx(8, {3}, "abc")), {"labels: 3 labels for the 2 rows of ", "features"});
  check_contains(told(features, idx(8, {2}, {'\x00', '\x0a'})), {"labels", "row 2 (byte 9)", "label 10", "0..9"});
  check_contains(told(packed(features).substr(0, 20), labels), {"features", "cut short at byte 20 of 20"});
  std::string damaged = packed(features);
  damaged[damaged.size() - 6] ^= 1;
  check_contains(told(damaged, labels), {"features", " at byte "});
  const std::string nan = big_endian(std::bit_cast<std::uint32_t>(std::nanf("")));
  check_contains(told(idx(0x0d, {2, 1}, big_endian(0) + nan), labels), {"row 2 (byte 16)", "nan"});
}

TEST_CASE("files that are not there, and labels that are not named, are told") {
  const Folder folder;
  job::Job job = idx_job(folder, idx(8, {1, 1}, "a"), idx(8, {1}, {'\x00'}));
  job.data.train.labels = "absent";
  check_contains(refused([&] { survey(job); }), {"cannot open", "absent"});
  job.data.train.labels = "";
  check_contains(refused([&] { survey(job); }), {"data.train.labels"});
}

TEST_CASE("csv fields survive quotes, line ends, a byte order mark and blanks") {
  const Folder folder;
  job::Job job =
      csv_job(folder, "\xef\xbb\xbfname, \"x, 1\" ,y\r\n\"a \"\"b\"\"\r\nc\", 1.5 ,no\r\n\r\n d ,+2,yes\r\n  \r\n");
  const Survey found = survey(job);
  REQUIRE(found.encoding.columns.size() == 2);
  CHECK(found.encoding.columns[0].levels == std::vector<std::string>{"a \"b\"\r\nc", "d"});
  CHECK(found.encoding.columns[1].name == "x, 1");
  CHECK(found.encoding.classes == std::vector<std::string>{"no", "yes"});
  const Gathered rows = loaded(job);
  CHECK(rows.features == std::vector<std::vector<float>>{{1, 0, 1.5f}, {0, 1, 2}});
  CHECK(rows.targets == std::vector<float>{0, 1});
  folder.write("train.csv", packed(read_file(folder.path() + "/train.csv", Kind::data)));
  CHECK(loaded(job) == rows);
}

TEST_CASE("csv is separated as the job says") {
  const Folder folder;
  for (const auto& [delimiter, text] :
       {std::pair{"tab", "1\t 2\t0\n3\t4\t1"}, std::pair{";", "1;2;0\n3;4;1\n"},
        std::pair{"space", "1 \t2   0 \n 3 4 1\t\n\n"}, std::pair{"|", "1|2|0\n3|4|1"}}) {
    CAPTURE(delimiter);
    job::Job job = csv_job(folder, text);
    job.data.csv.header = false;
    job.data.csv.delimiter = delimiter;
    CHECK(loaded(job).features == std::vector<std::vector<float>>{{1, 2}, {3, 4}});
  }
  job::Job job = csv_job(folder, "1,2\n");
  job.data.csv.delimiter = "::";
  check_contains(refused([&] { survey(job); }, Kind::job), {"data.csv.delimiter", "::"});
}

TEST_CASE("the csv target is a name, a number, first or last, and the rest are features") {
  const Folder folder;
  job::Job job = csv_job(folder, "a,b,c\n0,10,20\n1,11,21\n");
  for (const auto& [target, first] : {std::pair{"a", 10.f}, std::pair{"first", 10.f}, std::pair{"1", 10.f},
                                      std::pair{"b", 0.f}, std::pair{"2", 0.f}, std::pair{"last", 0.f}}) {
    CAPTURE(target);
    job.data.csv.target = target;
    CHECK(loaded(job).features[0][0] == first);
  }
  job.data.csv.target = "a";
  job.data.csv.ignore = {"3"};
  CHECK(survey(job).encoding.width == 1);
  job.data.csv.ignore = {};
  job.data.csv.categorical = {"c"};
  CHECK(survey(job).encoding.columns[1].levels == std::vector<std::string>{"20", "21"});
  CHECK(survey(csv_job(folder, "colour,y\nred,0\n", "colour,y\nred,0\n")).facts.test_rows == 1);
  job = csv_job(folder, "colour,y\nred,0\n");
  job.data.csv.target = "color";
  check_contains(refused([&] { survey(job); }), {"data.csv.target", "no column 'color'", "did you mean 'colour'?"});
}

TEST_CASE("bad csv is refused with line and column") {
  const Folder folder;
  const auto told = [&](const std::string& text) { return refused([&] { survey(csv_job(folder, text)); }); };
  check_contains(told("a,b,y\n1,2,0\n1,2\n"), {"train.csv:3: 2 fields, but the header has 3"});
  check_contains(told("a,b,y\n1,\"2,0\n1,2,0\n"), {"train.csv:2:3: this quote is never closed"});
  check_contains(told("a,b,y\n1,\"2\"x,0\n"), {"train.csv:2:6: text after a closing quote"});
  check_contains(told("a,b,y\n1,2,0\n\n 1,inf,0\n"),
                 {"train.csv:4:4", "column", "'inf' is not a finite number", "missing_values"});
  check_contains(told("a,b,y\n1,1e300,0\n"), {"train.csv:2:3", "'1e300'"});
  check_contains(told("a,b,y\n1,,0\n"), {"train.csv:2:3", "column 'b'", "data.csv.missing"});
  check_contains(told("a,b,y\n1,2,?\n"), {"train.csv:2:5", "target 'y' has no value"});
  check_contains(told("a,a,y\n1,2,0\n"), {"train.csv:1:3", "two columns named 'a'"});
  check_contains(told("a,y\n"), {"no rows after the header"});
  check_contains(told("\n"), {"the file is empty"});
  check_contains(told("a;b;y\n1;2;0\n"), {"no column is left beside the target 'a;b;y'", "data.csv.delimiter"});
}

TEST_CASE("classes are checked against the loss and the outputs") {
  const Folder folder;
  job::Job job = csv_job(folder, "a,y\n1,red\n2,green\n3,blue\n");
  job.model.layers.back().dense = 2;
  check_contains(refused([&] { survey(job); }), {"3 classes (blue, green, red)", "2 outputs"});
  job.model.loss = job::Loss::binary_cross_entropy;
  check_contains(refused([&] { survey(job); }), {"3 classes", "exactly two"});
  job.model.loss = job::Loss::mean_squared_error;
  check_contains(refused([&] { survey(job); }), {"train.csv:2:3", "'red' is not a finite number"});
  job = csv_job(folder, "a,y\n1,yes\n2,no\n", "a,y\n1,no\n2,maybe\n", job::Loss::binary_cross_entropy);
  check_contains(refused([&] { survey(job); }), {"test.csv:3:3", "'maybe'", "no, yes"});
}

TEST_CASE("a level or a header order of the test file changes nothing that was learned from training") {
  const Folder folder;
  const job::Job job = csv_job(folder, "c,x,y\nred,1,0\nNA,2,1\n", "y,x,extra,c\n1,5,9,green\n0,6,9,?\n");
  CHECK(survey(job).encoding.columns[0].levels == std::vector<std::string>{"red", ""});
  CHECK(loaded(job, Part::test).features == std::vector<std::vector<float>>{{0, 0, 5}, {0, 1, 6}});
  const job::Job other = csv_job(folder, "c,x,y\nred,1,0\n", "c,z,y\nred,1,0\n");
  check_contains(refused([&] { survey(other); }), {"test.csv:1", "no column 'x'"});
}

TEST_CASE("missing numbers become what the job says, the mean being that of training rows") {
  const Folder folder;
  job::Job job = csv_job(folder, "x,y\n1,0\n,1\n4,0\n", "x,y\n?,0\n100,1\n");
  job.data.csv.missing = job::Missing::mean;
  CHECK(loaded(job).features[1][0] == 2.5f);
  CHECK(loaded(job, Part::test).features[0][0] == 2.5f);
  job.data.csv.missing = job::Missing::zero;
  CHECK(loaded(job).features[1][0] == 0);
  job.data.csv.missing_values = {"100"};
  check_contains(refused([&] { survey(job); }), {"train.csv:3:1", "'' is not a number", "column 'x'"});
}

TEST_CASE("a file without its target is read only where labels are not required") {
  const Folder folder;
  job::Job job = csv_job(folder, "x,y,z\n1,no,3\n2,yes,4\n");
  job.data.csv.target = "y";
  const Encoding encoding = survey(job).encoding;
  const job::Files without{folder.write("p.csv", "z,x\n7,8\n"), ""};
  const Gathered rows = gather_all(*load_files(job.data, encoding, without, false));
  CHECK(rows.features[0] == std::vector<float>{8, 7});
  CHECK(rows.targets[0] == 0);
  check_contains(refused([&] { load_files(job.data, encoding, without, true); }), {"p.csv:1", "no column 'y'"});
  job = csv_job(folder, "1,no,3\n2,yes,4\n");
  job.data.csv.header = false;
  job.data.csv.target = "2";
  const Encoding numbered = survey(job).encoding;
  const job::Files plain{folder.write("q.csv", "8,7\n"), ""};
  CHECK(gather_all(*load_files(job.data, numbered, plain, false)).features[0] == std::vector<float>{8, 7});
  check_contains(refused([&] { load_files(job.data, numbered, plain, true); }), {"2 fields", "training data has 3"});
}

TEST_CASE("rows for prediction need no labels, and those they have do not matter") {
  const Folder folder;
  const job::Job sparse = libsvm_job(folder, "1 1:1\n0 2:1\n");
  const job::Files unlabelled{folder.write("u.txt", "2:3\n7 1:4\n"), ""};
  const auto rows = load_files(sparse.data, survey(sparse).encoding, unlabelled, false);
  CHECK(gather_all(*rows) == Gathered{{{0, 3}, {4, 0}}, {0, 0}});
  const job::Job bytes = idx_job(folder, idx(8, {1, 2}, "ab"), idx(8, {1}, {'\x01'}));
  const Encoding encoding = survey(bytes).encoding;
  CHECK(gather_all(*load_files(bytes.data, encoding, {"features", ""}, false)) == Gathered{{{97, 98}}, {0}});
  check_contains(refused([&] { load_files(bytes.data, encoding, {"features", ""}, true); }), {"no file of labels"});
  folder.write("wide", idx(8, {1, 3}, "abc"));
  check_contains(refused([&] { load_files(bytes.data, encoding, {"wide", ""}, false); }), {"3 values", "takes 2"});
}

TEST_CASE("two labels of any numbers are told apart by binary_cross_entropy") {
  const Folder folder;
  job::Job job = idx_job(folder, idx(8, {3, 1}, "abc"), idx(8, {3}, {'\x09', '\x04', '\x09'}));
  job.model = doors::model_for(job::Loss::binary_cross_entropy);
  CHECK(survey(job).encoding.classes == std::vector<std::string>{"4", "9"});
  CHECK(loaded(job).targets == std::vector<float>{1, 0, 1});
}

TEST_CASE("libsvm rows are what their pairs say and zero elsewhere") {
  const Folder folder;
  const job::Job job = libsvm_job(folder, "+1 1:1 3:-0.5 \n\n-1 2:1e-3 # note\n-1\n", "-1 1:2\n");
  const Survey found = survey(job);
  CHECK(found.encoding.width == 3);
  CHECK(found.encoding.classes == std::vector<std::string>{"-1", "1"});
  const Gathered rows = loaded(job);
  CHECK(rows.features == std::vector<std::vector<float>>{{1, 0, -0.5f}, {0, 1e-3f, 0}, {0, 0, 0}});
  CHECK(rows.targets == std::vector<float>{1, 0, 0});
  CHECK(loaded(job, Part::test).features == std::vector<std::vector<float>>{{2, 0, 0}});
  job::Job wider = job;
  wider.data.libsvm_features = 5;
  CHECK(survey(wider).encoding.width == 5);
  folder.write("train.txt", packed(read_file(folder.path() + "/train.txt", Kind::data)));
  CHECK(loaded(job) == rows);
}

TEST_CASE("bad libsvm is refused with line and column") {
  const Folder folder;
  const auto told = [&](const std::string& text, const std::string& test = "") {
    return refused([&] { survey(libsvm_job(folder, text, test)); });
  };
  check_contains(told("1 1:1\n0 0:1\n"), {"train.txt:2:3: index 0: indices start at 1"});
  check_contains(told("1 2:1 2:1\n"), {"train.txt:1:7: index 2 after 2: indices must ascend"});
  check_contains(told("x 1:1\n"), {"train.txt:1:1: label 'x'"});
  check_contains(told("1 1:nan\n"), {"train.txt:1:3: value 'nan'"});
  check_contains(told("1 1\n"), {"train.txt:1:3: '1' is not index:value"});
  check_contains(told("1 1:1\n2:1\n0 1:1\n"), {"train.txt:2:1", "no label"});
  check_contains(told("1 1:1\n0 1:1\n", "1 1:1\n0 2:1\n"), {"test.txt:2:3: index 2 is beyond the 1 features"});
  check_contains(told("1 1:1\n0 1:1\n", "2 1:1\n"), {"test.txt:1:1", "label 2 is not one of the classes 0, 1"});
  check_contains(told("# nothing\n"), {"no rows"});
  job::Job job = libsvm_job(folder, "1 3:1\n0 1:1\n");
  job.data.libsvm_features = 2;
  check_contains(refused([&] { survey(job); }), {"train.txt:1:3", "index 3 is beyond data.libsvm.features = 2"});
}

TEST_CASE("what is fitted comes from training rows only, and a constant column keeps scale 1") {
  const Folder folder;
  job::Job job =
      csv_job(folder, "a,b,c,y\n1,7,r,10\n3,7,s,30\n", "a,b,c,y\n100,9,r,100\n", job::Loss::mean_squared_error);
  job.data.normalize.features = job::Fit::standardize;
  job.data.normalize.target = job::Fit::standardize;
  const Encoding encoding = survey(job).encoding;
  CHECK(encoding.shift == std::vector<float>{2, 7, 0, 0});
  CHECK(encoding.scale == std::vector<float>{1, 1, 1, 1});
  CHECK(encoding.target_shift == 20);
  CHECK(encoding.target_scale == 10);
  CHECK(loaded(job).targets == std::vector<float>{-1, 1});
  CHECK(loaded(job, Part::test).features[0] == std::vector<float>{98, 2, 1, 0});
  CHECK(loaded(job, Part::test).targets[0] == 8);
  job.data.normalize.features = job::Fit::min_max;
  job.data.normalize.scale = 4;
  CHECK(loaded(job).features == std::vector<std::vector<float>>{{0, 0, 4, 0}, {1, 0, 0, 4}});
}

TEST_CASE("standardised columns have mean 0 and deviation 1, in bytes and sparse rows too") {
  job::Job job = job_for(job::Format::generated);
  job.data.generate.rows = 500;
  job.data.normalize = {1 / 255.0, job::Fit::standardize, job::Fit::none};
  const Gathered rows = loaded(job);
  for (const std::size_t column : {0u, 405u, 406u, 783u}) {
    double sum = 0, squares = 0;
    for (const auto& row : rows.features) sum += row[column], squares += row[column] * row[column];
    CHECK(sum / 500 == doctest::Approx(0).epsilon(1e-4));
    CHECK(squares / 500 == doctest::Approx(1).epsilon(1e-4));
  }
  const Folder folder;
  job::Job sparse = libsvm_job(folder, "1 1:2\n0 2:1\n");
  sparse.data.normalize.features = job::Fit::standardize;
  CHECK(loaded(sparse).features == std::vector<std::vector<float>>{{1, -1}, {-1, 1}});
}

TEST_CASE("held-out rows and training rows share nothing and miss nothing") {
  const Folder folder;
  std::string text = "x,c,y\n";
  for (int i = 0; i < 100; ++i) text += fmt::format("{},level{},{}\n", i, i, i % 2);
  job::Job job = csv_job(folder, text);
  job.data.holdout = 0.25;
  job.data.normalize.features = job::Fit::min_max;
  const Survey found = survey(job);
  CHECK(found.facts.train_rows == 75);
  CHECK(found.facts.test_rows == 25);
  CHECK(found.encoding.columns[1].levels.size() == 75);
  const Gathered train = loaded(job), test = loaded(job, Part::test);
  std::vector<double> all;
  for (const Gathered* part : {&train, &test})
    for (const auto& row : part->features) all.push_back(row[0] / found.encoding.scale[0] + found.encoding.shift[0]);
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < 100; ++i) CHECK(all[i] == doctest::Approx(static_cast<double>(i)));
  for (const auto& row : test.features) CHECK(std::accumulate(row.begin() + 1, row.end(), 0.0f) == 0);  // unseen levels
  job.seed = 8;
  CHECK(loaded(job, Part::test).features != test.features);
}

TEST_CASE("the hash is of the content, and load refuses other content") {
  const Folder folder;
  job::Job job = csv_job(folder, "x,y\n1,0\n2,1\n", "x,y\n3,0\n");
  const Survey found = survey(job);
  CHECK(found.facts.hash.size() == 32);
  folder.write("train.csv", packed("x,y\n1,0\n2,1\n"));
  CHECK(survey(job).facts.hash == found.facts.hash);
  folder.write("test.csv", "x,y\n4,0\n");
  CHECK_NOTHROW(load(job, found.encoding, Part::train, found.facts.hash));
  check_contains(refused([&] { load(job, found.encoding, Part::test, found.facts.hash); }),
                 {"test data", "planned with"});
  CHECK_NOTHROW(load(job, found.encoding, Part::test, ""));
  job::Job none = csv_job(folder, "x,y\n1,0\n2,1\n");
  refused([&] { load(none, found.encoding, Part::test, ""); });
}

TEST_CASE("an encoding survives JSON, and damaged JSON is refused") {
  const Folder folder;
  job::Job job = csv_job(folder, "c,x,y\nred,0.1,a\n,0.7,b\n");
  job.data.normalize.features = job::Fit::standardize;
  const Encoding encoding = survey(job).encoding;
  const Json json = encoding.to_json();
  const Encoding read = Encoding::from_json(Json::parse(json.dump()));
  CHECK(read.to_json() == json);
  CHECK(read.shift == encoding.shift);
  CHECK(read.scale == encoding.scale);
  CHECK(read.columns[0].levels == encoding.columns[0].levels);
  for (const auto& [key, value] : json.items()) {
    CAPTURE(key);
    Json damaged = json;
    damaged.erase(key);
    if (key != "version") refused([&] { Encoding::from_json(damaged); }, Kind::checkpoint);  // the first had none
    damaged[key] = nullptr;
    refused([&] { Encoding::from_json(damaged); }, Kind::checkpoint);
  }
  for (const char* damage : {R"({"width": 4})", R"({"width": 0})", R"({"shift": [0, 0]})", R"({"format": "xml"})",
                             R"({"target_scale": 0})", R"({"columns": []})"}) {
    CAPTURE(damage);
    Json damaged = json;
    damaged.update(Json::parse(damage));
    refused([&] { Encoding::from_json(damaged); }, Kind::checkpoint);
  }
  refused([&] { Encoding::from_json(Json::parse("[]")); }, Kind::checkpoint);
}

TEST_CASE("a generated row is a function of seed, parameters and number only") {
  for (const job::Generated set : {job::Generated::digits, job::Generated::blobs, job::Generated::line}) {
    const bool line = set == job::Generated::line;
    job::Job job = job_for(job::Format::generated,
                           line ? job::Loss::mean_squared_error : job::Loss::softmax_cross_entropy, line ? 1 : 10);
    job.data.generate = {set, 60, 20, 7, 3, 1};
    const Gathered train = loaded(job), test = loaded(job, Part::test);
    job.data.generate.rows = 80;
    const Gathered longer = loaded(job);
    CHECK(std::equal(train.features.begin(), train.features.end(), longer.features.begin()));
    CHECK(std::equal(test.features.begin(), test.features.end(), longer.features.begin() + 60));
    CHECK(std::equal(test.targets.begin(), test.targets.end(), longer.targets.begin() + 60));
    const std::string hash = survey(job).facts.hash;
    job.seed += 1;
    CHECK(loaded(job).features != longer.features);
    CHECK(survey(job).facts.hash != hash);
  }
}

TEST_CASE("generated classes are balanced and not periodic") {
  const Index classes = 10;
  Index equal = 0;
  for (Index block = 0; block < 50; ++block) {
    std::vector<int> seen(classes);
    for (Index i = 0; i < classes; ++i) {
      const Index label = generated_class(3, block * classes + i, classes);
      ++seen[static_cast<std::size_t>(label)];
      if (label == i) ++equal;
    }
    CHECK(std::count(seen.begin(), seen.end(), 1) == classes);
  }
  CHECK(equal < 100);
}

TEST_CASE("a drawn digit is nearest to the mean of its own class more often than not, and never blank") {
  std::vector<std::vector<double>> means(10, std::vector<double>(digit_pixels));
  std::vector<unsigned char> pixels(digit_pixels);
  for (Index row = 0; row < 1000; ++row) {
    draw_digit(1, row, row % 10, 1, pixels.data());
    for (std::size_t p = 0; p < pixels.size(); ++p) means[static_cast<std::size_t>(row % 10)][p] += pixels[p] / 100.0;
  }
  int right = 0;
  for (Index row = 1000; row < 1500; ++row) {
    draw_digit(1, row, row % 10, 1, pixels.data());
    std::vector<double> distance(10);
    for (std::size_t c = 0; c < 10; ++c)
      for (std::size_t p = 0; p < pixels.size(); ++p) distance[c] += std::pow(pixels[p] - means[c][p], 2);
    if (std::min_element(distance.begin(), distance.end()) - distance.begin() == row % 10) ++right;
    CHECK(std::count_if(pixels.begin(), pixels.end(), [](int p) { return p > 128; }) > 15);
  }
  CHECK(right > 300);
  CHECK(right < 500);  // or it would be no problem to train on
}

TEST_CASE("without noise the line's target is linear in its features") {
  job::Job job = job_for(job::Format::generated, job::Loss::mean_squared_error, 1);
  job.data.generate = {job::Generated::line, 200, 10, 1, 2, 0};
  const Gathered rows = loaded(job);
  const double slope = rows.targets[0] / rows.features[0][0];
  for (std::size_t r = 0; r < 200; ++r)
    CHECK(rows.targets[r] == doctest::Approx(slope * rows.features[r][0]).epsilon(1e-4));
  job.data.generate.noise = 2;
  const Gathered noisy = loaded(job);
  double squares = 0;
  for (std::size_t r = 0; r < 200; ++r) squares += std::pow(noisy.targets[r] - slope * noisy.features[r][0], 2);
  CHECK(std::sqrt(squares / 200) == doctest::Approx(2).epsilon(0.15));
  job.model.loss = job::Loss::softmax_cross_entropy;
  check_contains(refused([&] { survey(job); }), {"mean_squared_error"});
}

TEST_CASE("gather allocates nothing, whatever the rows are held as") {
  const Folder folder;
  job::Job digits = job_for(job::Format::generated);
  digits.data.generate.rows = 20;
  for (const job::Job& job :
       {digits, csv_job(folder, "c,x,y\nred,1,0\nblue,2,1\n"), libsvm_job(folder, "1 1:1\n0 2:1\n")}) {
    const auto rows = load(job, survey(job).encoding, Part::train, "");
    std::vector<float> features(static_cast<std::size_t>(2 * rows->width())), targets(2);
    const std::vector<std::uint32_t> two{1, 0};
    const long before = allocations;
    rows->gather(two, Matrix(features.data(), 2, rows->width()), targets);
    CHECK(allocations == before);
  }
}

TEST_CASE("a survey knows how many bytes a role will hold of the training rows") {
  const Folder folder;
  job::Job digits = job_for(job::Format::generated), blobs = digits;
  digits.data.generate.rows = 300;
  blobs.data.generate = {job::Generated::blobs, 300, 10, 20, 10, 1};
  for (const job::Job& job :
       {digits, blobs, csv_job(folder, "c,x,y\nred,1,0\nblue,2,1\n"), libsvm_job(folder, "1 1:1\n0 2:1\n")}) {
    const Survey found = survey(job);
    const auto held = static_cast<double>(load(job, found.encoding, Part::train, "")->bytes());
    CHECK(static_cast<double>(found.facts.train_bytes) == doctest::Approx(held).epsilon(0.05));
  }
}

TEST_CASE("the corpora of the fuzzers are accepted or refused as their names say") {
  using Door = std::function<bool(const std::string&)>;
  for (const auto& [name, door] : {std::pair<const char*, Door>{"idx", doors::try_idx},
                                   {"csv", doors::try_csv},
                                   {"libsvm", doors::try_libsvm},
                                   {"npy", doors::try_npy},
                                   {"table", doors::try_table}}) {
    int replayed = 0;
    for (const auto& entry : fs::directory_iterator(source_root() / "tests/fuzz/corpus" / name)) {
      const std::string file = entry.path().filename().string();
      CAPTURE(file);
      CHECK(door(read_file(entry.path(), Kind::data)) == file.starts_with("sound"));
      ++replayed;
    }
    CHECK(replayed >= 4);
  }
}

namespace {

job::Job random_division(std::mt19937_64& random, Index& rows, int& workers) {
  const auto up_to = [&](std::uint64_t n) { return static_cast<Index>(random() % n) + 1; };
  job::Job job;
  job.seed = random();
  rows = up_to(300);
  workers = static_cast<int>(up_to(9));
  job.train.batch = up_to(random() % 2 == 0 ? 20 : 400);
  job.train.epochs = 3;
  job.topology.workers = workers;
  job.data.shuffle = random() % 4 != 0;
  job.data.sharing = random() % 2 == 0 ? job::Sharing::shard : job::Sharing::replicate;
  job.data.partition.by = random() % 2 == 0 ? job::PartitionBy::stride : job::PartitionBy::contiguous;
  return job;
}

std::vector<int> ranks(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

TEST_CASE("an epoch visits each row exactly once, and counts add up to the batch, however rows are divided") {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Index rows = 0;
    int workers = 0;
    const job::Job job = random_division(random, rows, workers);
    Division division(job, rows, ranks(workers));
    const Index steps = division.steps_per_epoch();
    REQUIRE(steps == (rows + job.train.batch - 1) / job.train.batch);
    for (Index epoch = 0; epoch < 3; ++epoch) {
      std::vector<int> visits(static_cast<std::size_t>(rows));
      for (Index step = epoch * steps; step < (epoch + 1) * steps; ++step) {
        // Ranks may go and come back at any step.
        std::vector<int> active;
        for (int rank = 0; rank < workers; ++rank)
          if (seed % 3 != 0 || random() % 3 != 0) active.push_back(rank);
        if (active.empty()) active.push_back(workers - 1);
        division.set_active(active);
        Index sum = 0;
        for (int rank = 0; rank < workers; ++rank) {
          const auto mine = division.rows(step, rank);
          REQUIRE(std::ssize(mine) == division.count(step, rank));
          for (const std::uint32_t row : mine) ++visits.at(row);
          sum += std::ssize(mine);
          if (!std::binary_search(active.begin(), active.end(), rank)) REQUIRE(mine.empty());
        }
        REQUIRE(sum == division.count(step));
        REQUIRE(sum == division.applied_before(step + 1) - division.applied_before(step));
        REQUIRE(division.epoch_of(step) == epoch);
      }
      REQUIRE(std::count(visits.begin(), visits.end(), 1) == rows);
    }
    CHECK(division.total_rows() == 3 * rows);
  }
}

TEST_CASE("the replicated order depends on seed and epoch only, and parts are nearly equal, longer ones first") {
  job::Job job;
  job.seed = 11;
  job.train.batch = 10;
  std::vector<std::uint32_t> expected;
  permutation(11, Purpose::shuffle, 1, 25, expected);
  for (int workers = 1; workers <= 12; ++workers) {
    Division division(job, 25, ranks(workers));
    std::vector<std::uint32_t> order;
    for (Index step = 3; step < 6; ++step)
      for (int rank = 0; rank < workers; ++rank) {
        const auto rows = division.rows(step, rank);
        order.insert(order.end(), rows.begin(), rows.end());
        CHECK(std::ssize(rows) == division.count(step) / workers + (rank < division.count(step) % workers ? 1 : 0));
      }
    CHECK(order == expected);
  }
  job.data.shuffle = false;
  Division plain(job, 25, {0, 1});
  CHECK(plain.rows(4, 1)[0] == 15);
  CHECK(plain.count(5) == 5);
}

TEST_CASE("a shard's rows are dealt by stride or contiguous and drawn in proportion to what is left") {
  job::Job job;
  job.data.sharing = job::Sharing::shard;
  job.train.batch = 4;
  for (const job::PartitionBy partition : {job::PartitionBy::stride, job::PartitionBy::contiguous}) {
    job.data.partition.by = partition;
    Division division(job, 22, ranks(3));
    for (Index step = 0; step < 12; ++step)
      for (int rank = 0; rank < 3; ++rank) {
        const Index each = rank == 0 ? 8 : 7;
        CHECK(division.count(step, rank) >= division.count(step) * each / 22 - 1);
        CHECK(division.count(step, rank) <= division.count(step) * each / 22 + 2);
        for (const std::uint32_t row : division.rows(step, rank))
          CHECK((partition == job::PartitionBy::stride ? row % 3
                                                       : (row < 8    ? 0
                                                          : row < 15 ? 1
                                                                     : 2)) == static_cast<std::uint32_t>(rank));
      }
  }
  Division shuffled(job, 22, ranks(1));
  const auto first = shuffled.rows(0, 0);
  const std::vector<std::uint32_t> epoch_0(first.begin(), first.end());
  const auto later = shuffled.rows(6, 0);
  CHECK(epoch_0 != std::vector<std::uint32_t>(later.begin(), later.end()));
}

TEST_CASE("a division allocates nothing after the first step of an epoch") {
  for (const job::Sharing sharing : {job::Sharing::replicate, job::Sharing::shard}) {
    job::Job job;
    job.data.sharing = sharing;
    job.train.batch = 7;
    job.topology.workers = 4;
    Division division(job, 100, {0, 1, 3});
    division.rows(0, 0);
    const long before = allocations;
    for (Index step = 0; step < 60; ++step)
      for (int rank = 0; rank < 4; ++rank) CHECK(division.count(step, rank) == std::ssize(division.rows(step, rank)));
    CHECK(allocations == before);
  }
}

TEST_CASE("steps are cut by train.steps, and there is no division of nothing") {
  job::Job job;
  job.train.epochs = 4;
  job.train.batch = 1000;
  CHECK(Division(job, 10, {0}).total_steps() == 4);
  CHECK(Division(job, 10, {0}).count(0) == 10);
  job.train.steps = 3;
  CHECK(Division(job, 10, {0}).total_rows() == 30);
  refused([&] { Division(job, 0, {0}); });
  refused([&] { Division(job, 10, {}); }, Kind::internal);
}

TEST_CASE("MNIST and Fashion-MNIST have the counts and sums that their sources state") {
  for (const auto& [name, train_sum, test_sum] :
       {std::tuple{"mnist", 1567298545.0, 264923200.0}, std::tuple{"fashion-mnist", 3431114169.0, 573469082.0}}) {
    job::Job job = job_for(job::Format::idx);
    job.data.dir = real_set(name);
    if (job.data.dir.empty()) continue;
    job.data.train = {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"};
    job.data.test = {"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"};
    const Survey found = survey(job);
    CHECK(found.facts.train_rows == 60000);
    CHECK(found.facts.test_rows == 10000);
    for (const auto& [part, sum] : {std::pair{Part::train, train_sum}, std::pair{Part::test, test_sum}}) {
      const auto rows = load(job, found.encoding, part, found.facts.hash);
      CHECK(rows->bytes() < static_cast<std::size_t>(rows->count()) * 800);
      std::vector<float> features(784), targets(1);
      double total = 0;
      for (std::uint32_t row = 0; row < rows->count(); ++row) {
        rows->gather(std::span(&row, 1), Matrix(features.data(), 1, 784), targets);
        total += std::accumulate(features.begin(), features.end(), 0.0f);  // whole numbers below 2^24: exact
      }
      CHECK(total == sum);
    }
  }
}

TEST_CASE("adult has its levels, a9a its width, and both their class counts") {
  job::Job adult = job_for(job::Format::csv, job::Loss::binary_cross_entropy, 1);
  adult.data.dir = real_set("adult");
  adult.data.train.features = "adult_train.csv.gz";
  adult.data.test.features = "adult_test.csv.gz";
  if (!adult.data.dir.empty()) {
    const Survey found = survey(adult);
    CHECK(found.facts.train_rows == 22792);
    CHECK(found.encoding.classes == std::vector<std::string>{"<=50K", ">50K"});
    CHECK(found.encoding.width == 6 + 9 + 16 + 7 + 15 + 6 + 5 + 2 + 42);  // three columns have missing values
    const Gathered train = loaded(adult);
    CHECK(std::count(train.targets.begin(), train.targets.end(), 1.0f) == 5484);
    double ages = 0;
    for (const auto& row : train.features) ages += row[0];
    CHECK(ages == 880119);
  }
  job::Job a9a = job_for(job::Format::libsvm, job::Loss::binary_cross_entropy, 1);
  a9a.data.dir = real_set("a9a");
  a9a.data.train.features = "a9a.gz";
  a9a.data.test.features = "a9a.t.gz";
  if (a9a.data.dir.empty()) return;
  CHECK(survey(a9a).encoding.width == 123);
  const Gathered test = loaded(a9a, Part::test);
  CHECK(test.targets.size() == 16281);
  CHECK(std::count(test.targets.begin(), test.targets.end(), 1.0f) == 3846);
  double entries = 0;
  for (const auto& row : test.features) entries += std::accumulate(row.begin(), row.end(), 0.0f);
  CHECK(entries == 225731);
}

TEST_CASE("titanic's quoted commas and missing ages are read, and its test file has no target") {
  job::Job job = job_for(job::Format::csv, job::Loss::binary_cross_entropy, 1);
  job.data.dir = real_set("titanic");
  if (job.data.dir.empty()) return;
  job.data.train.features = "train.csv";
  job.data.csv.target = "Survived";
  job.data.csv.ignore = {"PassengerId", "Name", "Ticket", "Cabin"};
  check_contains(refused([&] { survey(job); }), {"train.csv:7:", "column 'Age'", "mean"});
  job.data.csv.missing = job::Missing::mean;
  const Survey found = survey(job);
  CHECK(found.facts.train_rows == 891);
  CHECK(found.encoding.width == 11);
  CHECK(found.encoding.columns[2].fill.value() == doctest::Approx(21205.1667 / 714));
  CHECK(load_files(job.data, found.encoding, {"test.csv", ""}, false)->count() == 418);
  check_contains(refused([&] {
                   load_files(job.data, found.encoding, {"test.csv", ""}, true);
                 }),
                 {"test.csv:1", "'Survived'"});
}

TEST_CASE("tables without header are read with blanks, tabs and commas between, and the target where it is") {
  struct Set {
    const char *folder, *file, *delimiter, *target;
    Index rows, width;
    double target_sum;
    job::Loss loss = job::Loss::mean_squared_error;
  };
  for (const Set& set :
       {Set{"uci-regression/concrete", "data.txt", "space", "last", 1030, 8, 36892.5},
        Set{"uci-regression/power-plant", "data.txt", "tab", "last", 9568, 4, 4347364.41},
        Set{"optdigits", "optdigits.tra", ",", "last", 3823, 64, 17193, job::Loss::softmax_cross_entropy},
        Set{"higgs-7k", "binary.test", "tab", "first", 500, 28, 272, job::Loss::binary_cross_entropy}}) {
    CAPTURE(set.folder);
    job::Job job = job_for(job::Format::csv, set.loss);
    job.data.dir = real_set(set.folder);
    if (job.data.dir.empty()) continue;
    job.data.train.features = set.file;
    job.data.csv.header = false;
    job.data.csv.delimiter = set.delimiter;
    job.data.csv.target = set.target;
    const Gathered rows = loaded(job);
    CHECK(std::ssize(rows.features) == set.rows);
    CHECK(std::ssize(rows.features[0]) == set.width);
    CHECK(std::accumulate(rows.targets.begin(), rows.targets.end(), 0.0) ==
          doctest::Approx(set.target_sum).epsilon(1e-6));
  }
}

TEST_CASE("california's category and missing bedrooms, and iris's species, are found") {
  job::Job housing = job_for(job::Format::csv, job::Loss::mean_squared_error, 1);
  housing.data.dir = real_set("california-housing");
  if (!housing.data.dir.empty()) {
    housing.data.train.features = "housing.csv.gz";
    housing.data.csv.target = "median_house_value";
    housing.data.csv.missing = job::Missing::mean;
    housing.data.normalize = {1, job::Fit::standardize, job::Fit::standardize};
    const Encoding encoding = survey(housing).encoding;
    CHECK(encoding.width == 8 + 5);
    CHECK(encoding.columns[4].fill.value() == doctest::Approx(10990309.0 / 20433));
    CHECK(encoding.target_shift == doctest::Approx(206855.816909));
    CHECK(encoding.target_scale == doctest::Approx(115392.820404));
  }
  job::Job iris = job_for(job::Format::csv);
  iris.data.dir = real_set("iris");
  if (iris.data.dir.empty()) return;
  iris.data.train.features = "iris.csv";
  CHECK(survey(iris).encoding.classes == std::vector<std::string>{"setosa", "versicolor", "virginica"});
}

namespace {

using Portion = Worklist::Portion;
using Place = std::pair<Index, int>;  // step and part

Place place_of(const Portion& portion) { return {portion.step, portion.part}; }

/// A random run of rounds over a worklist, and what became of each portion.
class Rounds {
 public:
  explicit Rounds(std::uint64_t seed) : random_(seed) {
    job_ = random_division(random_, rows_, workers_);
    job_.train.epochs = 1 + static_cast<Index>(random_() % 2);
    if (random_() % 2 == 0) job_.train.steps = 1 + static_cast<Index>(random_() % 12);
    punctual_ = random_() % 101;
    losses_ = random_() % 3 == 0 ? 10 : 0;
    list_.emplace(job_, Facts{rows_, 0, "", {}});
    active_.assign(static_cast<std::size_t>(workers_), true);
  }

  Worklist& list() { return *list_; }
  const job::Job& job() const { return job_; }
  Index rows() const { return rows_; }
  int workers() const { return workers_; }

  /// Restarts from the numbers of the list, as a run that is resumed does.
  void restart() {
    const std::vector<std::int64_t> numbers = list_->state();
    list_.emplace(job_, Facts{rows_, 0, "", {}});
    list_->restore(numbers);
  }

  /// Who is in time this round. A rank that is lost may have pushed before.
  std::vector<int> draw_folded() {
    std::vector<int> folded;
    for (int rank = 0; rank < workers_; ++rank)
      if (list_->of(rank) && random_() % 101 < punctual_) folded.push_back(rank);
    return folded;
  }

  std::optional<int> draw_loss() {
    const auto left = std::count(active_.begin(), active_.end(), true);
    const int rank = static_cast<int>(random_() % static_cast<std::uint64_t>(workers_));
    if (left < 2 || random_() % 100 >= losses_ || !active_[static_cast<std::size_t>(rank)]) return std::nullopt;
    active_[static_cast<std::size_t>(rank)] = false;
    return rank;
  }

  void play(const std::vector<int>& folded, std::optional<int> lost) {
    if (lost) list_->lose(*lost);
    note(folded);
    list_->settle(folded);
    check_deal(folded);
  }

  void check_end() {
    Division division(job_, rows_, ranks(workers_));
    Index learned = 0, given_up = 0;
    for (Index step = 0; step < division.total_steps(); ++step)
      for (int part = 0; part < workers_; ++part) {
        const Index count = division.count(step, part);
        const Place place{step, part};
        REQUIRE(learned_.count(place) + given_up_.count(place) == (count > 0 ? 1 : 0));
        (learned_.count(place) > 0 ? learned : given_up) += count;
      }
    REQUIRE(list_->rows_given_up() == given_up);
    REQUIRE(learned + given_up == division.total_rows());
  }

  std::size_t given_up() const { return given_up_.size(); }
  std::size_t dropped() const { return drops_.size(); }

 private:
  void note(const std::vector<int>& folded) {
    for (int rank = 0; rank < workers_; ++rank) {
      const auto portion = list_->of(rank);
      if (!portion) continue;
      const Place place = place_of(*portion);
      REQUIRE(portion->drops == drops_[place]);
      REQUIRE(learned_.count(place) + given_up_.count(place) == 0);
      if (std::binary_search(folded.begin(), folded.end(), rank))
        learned_.insert(place);
      else if (++drops_[place] == 1 + Worklist::most_drops)
        given_up_.insert(place);
    }
  }

  void check_deal(const std::vector<int>& folded) {
    std::set<Place> dealt;
    bool all_quick_retry = true, slow_retries = false;
    for (int rank = 0; rank < workers_; ++rank) {
      const auto portion = list_->of(rank);
      const bool here = active_[static_cast<std::size_t>(rank)];
      const bool quick = std::binary_search(folded.begin(), folded.end(), rank);
      if (!here) REQUIRE_FALSE(portion);
      if (here && quick) all_quick_retry = all_quick_retry && portion && portion->drops > 0;
      if (!portion) continue;
      REQUIRE(dealt.insert(place_of(*portion)).second);
      if (job_.data.sharing == job::Sharing::shard)
        REQUIRE((portion->part == rank || !active_[static_cast<std::size_t>(portion->part)]));
      else if (!quick)
        slow_retries = slow_retries || portion->drops > 0;
    }
    if (slow_retries) REQUIRE(all_quick_retry);
  }

  std::mt19937_64 random_;
  job::Job job_;
  Index rows_ = 0;
  int workers_ = 1;
  std::uint64_t punctual_ = 100, losses_ = 0;
  std::optional<Worklist> list_;
  std::vector<bool> active_;
  std::map<Place, int> drops_;
  std::set<Place> learned_, given_up_;
};

}  // namespace

TEST_CASE("every portion is learned once, or given up when it was dropped a fourth time, whoever is late or lost") {
  std::size_t given_up = 0, dropped = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    CAPTURE(seed);
    Rounds rounds(seed);
    // Each portion can be worked on four times at most, and some are in every round.
    for (int round = 0; !rounds.list().finished(); ++round) {
      REQUIRE(round < 4 * 2 * 300 * rounds.workers());
      const auto lost = rounds.draw_loss();
      rounds.play(rounds.draw_folded(), lost);
    }
    rounds.check_end();
    given_up += rounds.given_up();
    dropped += rounds.dropped();
  }
  CHECK(given_up > 1000);
  CHECK(dropped > 10 * given_up / 4);
}

TEST_CASE("every portion is learned once, or given up, whoever comes again or takes an empty place") {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Index rows = 0;
    int workers = 1;
    job::Job job = random_division(random, rows, workers);
    const int places = workers + static_cast<int>(random() % 3);
    job.topology.max_workers = places;
    Worklist list(job, Facts{rows, 0, "", {}});
    std::set<int> active;
    for (int rank = 0; rank < workers; ++rank) active.insert(rank);
    std::set<std::pair<Index, int>> learned;
    for (int round = 0; !list.finished(); ++round) {
      REQUIRE(round < 4 * 2 * 300 * places);
      const int rank = static_cast<int>(random() % static_cast<std::uint64_t>(places));
      const bool changes = random() % 4 == 0, leaves = active.contains(rank);
      if (changes && leaves && active.size() > 1) active.erase(rank), list.lose(rank);
      if (changes && !leaves) active.insert(rank), list.set_active({active.begin(), active.end()});
      std::vector<int> folded;
      for (int r = 0; r < places; ++r)
        if (list.of(r) && random() % 3 > 0) {
          folded.push_back(r);
          REQUIRE(learned.insert(place_of(*list.of(r))).second);
        }
      list.settle(folded);
      for (int r = 0; r < places; ++r)
        if (list.of(r)) REQUIRE(active.contains(r));
    }
    const int parts = job.data.sharing == job::Sharing::shard ? places : workers;
    Division division(job, rows, ranks(parts));
    Index sum = list.rows_given_up();
    for (const auto& [step, part] : learned) sum += division.count(step, part);
    REQUIRE(sum == division.total_rows());
  }
}

TEST_CASE("a worklist that was saved and read back at any round has the same future") {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    Rounds plain(seed), restarted(seed);
    while (!plain.list().finished()) {
      const auto lost = plain.draw_loss();
      const std::vector<int> folded = plain.draw_folded();
      REQUIRE(restarted.draw_loss() == lost);
      restarted.draw_folded();
      plain.play(folded, lost);
      restarted.play(folded, lost);
      restarted.restart();
      REQUIRE(restarted.list().state() == plain.list().state());
      for (int rank = 0; rank < plain.workers(); ++rank) REQUIRE(restarted.list().of(rank) == plain.list().of(rank));
    }
    REQUIRE(restarted.list().finished());
    restarted.check_end();
  }
}

TEST_CASE("a worklist's numbers that are cut short, out of range or of another number of workers are refused") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    Rounds rounds(seed);
    for (int round = 0; round < 5 && !rounds.list().finished(); ++round) rounds.play(rounds.draw_folded(), {});
    const std::vector<std::int64_t> sound = rounds.list().state();
    const auto refuses = [&](const std::vector<std::int64_t>& numbers, const job::Job& job) {
      Worklist list(job, Facts{rounds.rows(), 0, "", {}});
      return refused([&] { list.restore(numbers); }, Kind::checkpoint);
    };
    for (std::size_t length = 0; length < sound.size(); ++length)
      check_contains(refuses({sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(length)}, rounds.job()),
                     {"damaged at number " + std::to_string(length + 1)});
    for (std::size_t at = 0; at < sound.size(); ++at)
      for (const std::int64_t wrong : {std::int64_t{-1}, std::numeric_limits<std::int64_t>::min()}) {
        std::vector<std::int64_t> damaged = sound;
        damaged[at] = wrong;
        refuses(damaged, rounds.job());
      }
    job::Job more = rounds.job();
    ++more.topology.workers;
    refuses(sound, more);
  }
}

TEST_CASE("where every rank is always in time, round t is step t of the division") {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    CAPTURE(seed);
    Rounds rounds(seed);
    Division division(rounds.job(), rounds.rows(), ranks(rounds.workers()));
    for (Index step = 0; step < division.total_steps(); ++step) {
      std::vector<int> folded;
      for (int rank = 0; rank < rounds.workers(); ++rank) {
        const auto portion = rounds.list().of(rank);
        REQUIRE(portion.has_value() == (division.count(step, rank) > 0));
        if (!portion) continue;
        REQUIRE(*portion == Portion{step, rank, 0});
        folded.push_back(rank);
      }
      REQUIRE_FALSE(rounds.list().finished());
      rounds.play(folded, {});
    }
    CHECK(rounds.list().finished());
  }
}
