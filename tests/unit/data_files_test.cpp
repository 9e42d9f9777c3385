// Formats, packings, patterns, mapped files and the cache.

#include <sys/stat.h>
#include <zip.h>
#include <zstd.h>

#include <bit>
#include <cstring>

#include "data/files.hpp"
#include "data_support.hpp"

using namespace dtrain;
using namespace dtrain::data;

namespace {

std::string zstd_packed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

template <class Value>
std::string raw(std::initializer_list<Value> values) {
  std::string bytes;
  for (const Value value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}

std::string npy(const std::string& type, const std::string& shape, const std::string& values, int version = 1,
                const std::string& order = "False") {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", type, order, shape);
  header += '\n';
  std::string bytes = "\x93NUMPY" + std::string{static_cast<char>(version), '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> 8 * i & 0xff);
  return bytes + header + values;
}

void write_npz(const std::string& path, std::initializer_list<std::pair<std::string, std::string>> arrays) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  REQUIRE(archive != nullptr);
  for (const auto& [name, bytes] : arrays)
    zip_file_add(archive, (name + ".npy").c_str(), zip_source_buffer(archive, bytes.data(), bytes.size(), 0), 0);
  REQUIRE(zip_close(archive) == 0);
}

job::Job npy_job(const Folder& folder, const std::string& features, const std::string& labels) {
  job::Job job = job_for(job::Format::npy);
  job.data.dir = folder.path();
  folder.write("x.npy", features);
  folder.write("y.npy", labels);
  job.data.train = {"x.npy", "y.npy"};
  return job;
}

/// More than a mebibyte of rows, so that they are cached.
std::string many_rows(int rows = 60000, int first = 0) {
  std::string text = "a,c,b,y\n";
  for (int row = 0; row < rows; ++row)
    text += fmt::format("{}.25,{},{}e-3,{}\n", row + first, row % 3 == 0 ? "red" : "blue", row, row % 2);
  return text;
}

std::vector<std::string> cached_files(const Folder& folder, const char* ending = ".rows") {
  std::vector<std::string> names;
  if (!fs::exists(folder.path() + "/.dtrain-cache")) return names;
  for (const auto& entry : fs::directory_iterator(folder.path() + "/.dtrain-cache"))
    if (entry.path().extension() == ending) names.push_back(entry.path().string());
  return names;
}

/// A sign that a file was used and not made anew: its inode.
ino_t inode(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_ino;
}

}  // namespace

TEST_CASE("npy arrays of every numeric type, order of bytes and version are the numbers that they hold") {
  const Folder folder;
  const std::string labels = npy("|u1", "(2,)", raw<std::uint8_t>({3, 4}));
  const std::vector<std::pair<std::string, std::string>> same{
      {"<i2", raw<std::int16_t>({1, -2, 3, 4})},
      {">i2", std::string("\x00\x01\xff\xfe\x00\x03\x00\x04", 8)},
      {"<i4", raw<std::int32_t>({1, -2, 3, 4})},
      {"<i8", raw<std::int64_t>({1, -2, 3, 4})},
      {"<f4", raw<float>({1, -2, 3, 4})},
      {"<f8", raw<double>({1, -2, 3, 4})},
      {"<f2", raw<std::uint16_t>({0x3c00, 0xc000, 0x4200, 0x4400})},
      {"|i1", raw<std::int8_t>({1, -2, 3, 4})}};
  for (const auto& [type, values] : same) {
    CAPTURE(type);
    for (int version = 1; version <= 3; ++version) {
      const Gathered rows = loaded(npy_job(folder, npy(type, "(2, 1, 2)", values, version), labels));
      CHECK(rows.features == std::vector<std::vector<float>>{{1, -2}, {3, 4}});
      CHECK(rows.targets == std::vector<float>{3, 4});
    }
  }
  for (const auto& [type, values] :
       {std::pair{"<u2", raw<std::uint16_t>({65535, 2})}, std::pair{"<u4", raw<std::uint32_t>({65535, 2})},
        std::pair{"<u8", raw<std::uint64_t>({65535, 2})}})
    CHECK(loaded(npy_job(folder, npy(type, "(2,)", values), labels)).features[0][0] == 65535);
  const job::Job bytes = npy_job(folder, npy("|u1", "(2, 2)", std::string("\x01\xff\x00\x80", 4)), labels);
  CHECK(loaded(bytes).features == std::vector<std::vector<float>>{{1, 255}, {0, 128}});
  CHECK(load(bytes, survey(bytes).encoding, Part::train, "")->table(std::vector<std::uint32_t>{0}).kind() ==
        Table::Kind::bytes);
}

TEST_CASE("a bad npy array is refused with the reason") {
  const Folder folder;
  const std::string labels = npy("|u1", "(2,)", raw<std::uint8_t>({3, 4})), values = raw<float>({1, 2, 3, 4});
  const auto told = [&](const std::string& features) {
    return refused([&] { survey(npy_job(folder, features, labels)); });
  };
  check_contains(told("nothing"), {"x.npy", "starts with"});
  check_contains(told(npy("<f4", "(2, 2)", values, 4)), {"version 4"});
  check_contains(told(npy("<f4", "(2, 2)", values, 1, "True")), {"Fortran order"});
  check_contains(told(npy("<c8", "(2, 1)", values)), {"'<c8'", "float32"});
  check_contains(told(npy("|O", "(2, 2)", values)), {"'|O'"});
  check_contains(told(npy("<f4", "(2, 3)", values)), {"2 rows of 3 values", "16 bytes"});
  check_contains(told(npy("<f4", "(3, 1)", raw<float>({1, 2, 3}))), {"2 labels for the 3 rows"});
  check_contains(told(npy("<f4", "()", raw<float>({1}))), {"no rows"});
  check_contains(told(npy("<f4", "(4611686018427387904, 4)", values)), {"do not make"});
  check_contains(told(npy("<f4", "(2, 2)", raw<float>({1, 2, NAN, 4}))), {"row 2 (byte", "nan"});
  check_contains(told(npy("<f4", "(2, 2)", values).substr(0, 40)), {"cut short in the header"});
}

TEST_CASE("arrays are found in an npz archive by name, and one that is not there is told with those that are") {
  const Folder folder;
  const std::string x = npy("<f4", "(2, 1)", raw<float>({1, 2})), y = npy("<i8", "(2,)", raw<std::int64_t>({0, 1}));
  write_npz(folder.path() + "/d.npz", {{"x", x}, {"y", y}});
  job::Job job = npy_job(folder, x, y);
  const Gathered plain = loaded(job);
  job.data.train = {"d.npz:x", "d.npz:y"};
  CHECK(loaded(job) == plain);
  job.data.train.features = "d.npz:z";
  check_contains(refused([&] { survey(job); }), {"d.npz", "no array 'z'", "x, y"});
  job.data.train.features = "d.npz";
  check_contains(refused([&] { survey(job); }), {"d.npz", "several arrays (x, y)"});
  write_npz(folder.path() + "/one.npz", {{"some", x}});
  job.data.train.features = "one.npz";
  CHECK(loaded(job) == plain);
  job.data.train.features = "d.npz:x";
  folder.write("d.npz", "PK nothing");
  check_contains(refused([&] { survey(job); }), {"d.npz", "not an NPZ archive"});
}

TEST_CASE("every format is read packed with gzip or zstd as it is read plain, and a cut packing is refused") {
  const Folder folder;
  const job::Job csv = csv_job(folder, "a,y\n1,0\n2,1\n");
  const job::Job array = npy_job(folder, npy("<f4", "(2, 1)", raw<float>({1, 2})), npy("|u1", "(2,)", "\x01\x02"));
  job::Job tsv = csv;
  tsv.data.format = job::Format::tsv;
  tsv.data.train.features = "t.tsv";
  folder.write("t.tsv", "a b\ty\n1\t0\n2\t1\n");
  CHECK(loaded(tsv).features == loaded(csv).features);
  for (const job::Job& job : {csv, array, tsv}) {
    const std::string name = job.data.train.features, plain = read_file(folder.path() + "/" + name, Kind::data);
    const Gathered rows = loaded(job);
    const std::string hash = survey(job).facts.hash;
    for (const std::string& bytes :
         {packed(plain), zstd_packed(plain), zstd_packed(plain.substr(0, 5)) + zstd_packed(plain.substr(5))}) {
      folder.write(name, bytes);
      CHECK(loaded(job) == rows);
      CHECK(survey(job).facts.hash == hash);
      for (const std::size_t left_out : {1u, 5u}) {
        folder.write(name, bytes.substr(0, bytes.size() - left_out));
        check_contains(refused([&] { survey(job); }), {name, "cut short"});
      }
    }
  }
}

TEST_CASE("several files of a pattern are one table in the order of their names, and their headers must agree") {
  const Folder folder;
  job::Job job = csv_job(folder, "");
  folder.write("part-2.csv", "c,x,y\nblue,3,yes\n");
  folder.write("part-1.csv", "c,x,y\nred,1,no\nblue,2,no\n");
  folder.write("part-3.csv", packed("c,x,y\ngreen,x,yes\n"));
  job.data.train.features = "part-[12].csv";
  const Survey found = survey(job);
  CHECK(found.facts.train_rows == 3);
  CHECK(found.encoding.columns[0].levels == std::vector<std::string>{"red", "blue"});
  CHECK(loaded(job).features == std::vector<std::vector<float>>{{1, 0, 1}, {0, 1, 2}, {0, 1, 3}});
  job.data.train.features = "part-*.csv";
  check_contains(refused([&] { survey(job); }), {"part-3.csv:2:7", "'x' is not a number"});
  folder.write("part-3.csv", "c,z,y\ngreen,3,yes\n");
  check_contains(refused([&] { survey(job); }), {"part-3.csv:1", "part-1.csv", "'z' here and 'x' there"});
  job.data.train.features = "other-*.csv";
  check_contains(refused([&] { survey(job); }), {"other-*.csv", "no file matches"});
  job::Job arrays = npy_job(folder, npy("|u1", "(1, 1)", "a"), npy("|u1", "(1,)", "\x01"));
  folder.write("x2.npy", npy("<f4", "(1, 1)", raw<float>({5})));
  folder.write("y2.npy", npy("|u1", "(1,)", "\x02"));
  arrays.data.train = {"x*.npy", "y*.npy"};
  CHECK(loaded(arrays) == Gathered{{{97}, {5}}, {1, 2}});
}

TEST_CASE("a mapped file trains as what it was made from") {
  const Folder folder;
  job::Job job = csv_job(folder, "c,x,y\nred,1,no\nblue,,yes\nred,4,yes\n", "c,x,y\nblue,7,no\ngreen,1,yes\n");
  job.data.csv.missing = job::Missing::mean;
  const Gathered train = loaded(job), test = loaded(job, Part::test);
  const Table table = read_files(job.data, job.data.train, {});
  table.write(folder.path() + "/train.rows");
  read_files(job.data, job.data.test, {}).write(folder.path() + "/test.rows");
  const std::string hash = survey(job).facts.hash;
  job.data.format = job::Format::mapped;
  job.data.train.features = "train.rows";
  job.data.test.features = "test.rows";
  CHECK(loaded(job) == train);
  CHECK(loaded(job, Part::test) == test);
  CHECK(survey(job).facts.hash == hash);
  job.data.csv.missing = job::Missing::error;
  check_contains(refused([&] { survey(job); }), {"train.csv:3:6", "column 'x' has no number here"});
  folder.write("train.rows", table.bytes().substr(0, 500));
  check_contains(refused([&] { survey(job); }), {"train.rows", "cut short"});
}

TEST_CASE("a large text is parsed once, and the cache is used for as long as contents and options are the same") {
  const Folder folder;
  job::Job job = csv_job(folder, many_rows());
  job.data.cache = "off";
  const Gathered plain = loaded(job);
  const Survey found = survey(job);
  CHECK(cached_files(folder).empty());
  job.data.cache = "auto";
  CHECK(survey(job).encoding.to_json() == found.encoding.to_json());
  REQUIRE(cached_files(folder).size() == 1);
  const std::string file = cached_files(folder).front();
  const ino_t first = inode(file);
  CHECK(loaded(job) == plain);
  CHECK(inode(file) == first);
  CHECK(fs::exists(folder.path() + "/.dtrain-cache/.gitignore"));
  SUBCASE("another content") {
    folder.write("train.csv", many_rows(60000, 1));
    CHECK(loaded(job).features[0][0] == 1.25f);
    CHECK(cached_files(folder).size() == 2);
  }
  SUBCASE("another option") {
    job.data.csv.target = "b";
    job.model.loss = job::Loss::mean_squared_error;
    CHECK(survey(job).encoding.target_name == "b");
    CHECK(cached_files(folder).size() == 2);
  }
  SUBCASE("a damaged cache") {
    for (const std::size_t length : {0u, 100u, 100000u}) {
      write_file(file, read_file(file, Kind::data).substr(0, length));
      CHECK(loaded(job) == plain);
      CHECK(fs::file_size(file) > 100000);
    }
  }
  SUBCASE("a packed text") {
    folder.write("train.csv", packed(many_rows()));
    CHECK(loaded(job) == plain);
    CHECK(survey(job).facts.hash == found.facts.hash);
    CHECK(cached_files(folder).size() == 1);
    REQUIRE(cached_files(folder, ".packed").size() == 1);
    const ino_t packed_first = inode(file);
    CHECK(loaded(job) == plain);
    CHECK(inode(file) == packed_first);
  }
  SUBCASE("a message about a row") {
    folder.write("train.csv", many_rows() + "1,red,,0\n");
    for (int time = 0; time < 2; ++time)
      check_contains(refused([&] { survey(job); }), {"train.csv:60002:7", "column 'b' has no number here"});
  }
}

TEST_CASE("where the folder of the cache cannot be made there is none, and the rows are the same") {
  const Folder folder;
  job::Job job = csv_job(folder, many_rows());
  job.data.cache = "off";
  const Gathered plain = loaded(job);
  folder.write("file", "");
  job.data.cache = "file";
  CHECK(loaded(job) == plain);
  job.data.cache = "elsewhere/deep";
  CHECK(loaded(job) == plain);
  CHECK(fs::exists(folder.path() + "/elsewhere/deep"));
  CHECK_FALSE(fs::exists(folder.path() + "/.dtrain-cache"));
}

TEST_CASE("shared files are found in the cache by their hash, without the text") {
  const Folder folder;
  job::Job job = csv_job(folder, many_rows(), many_rows(50000, 7));
  job.data.sharing = job::Sharing::shared_files;
  const Survey found = survey(job);
  const Gathered train = loaded(job), test = loaded(job, Part::test);
  fs::remove(folder.path() + "/train.csv");
  fs::remove(folder.path() + "/test.csv");
  CHECK(gather_all(*load(job, found.encoding, Part::train, found.facts.hash)) == train);
  CHECK(gather_all(*load(job, found.encoding, Part::test, found.facts.hash)) == test);
  refused([&] { load(job, found.encoding, Part::train, "0123456789abcdef0123456789abcdef"); });
  job.data.sharing = job::Sharing::replicate;
  refused([&] { load(job, found.encoding, Part::train, found.facts.hash); });
}
