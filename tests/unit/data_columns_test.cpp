#include <doctest/doctest.h>

#include <unistd.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.hpp"
#include "base/file.hpp"
#include "data/data.hpp"
#include "data/steps.hpp"

namespace dtrain::data {
namespace {

/// A csv file for training and one for testing, and a job over them.
class Sheet {
 public:
  Sheet(const std::string& train, const std::string& test) {
    std::string name = (fs::temp_directory_path() / "dtrain-columns-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    job.data.format = job::Format::csv;
    job.data.dir = name;
    job.data.train.features = "train.csv";
    job.data.test.features = "test.csv";
    job.data.csv.target = "y";
    job.data.cache = "off";
    job.model.loss = job::Loss::mean_squared_error;
    job.model.layers.emplace_back().dense = 1;
    write_file(folder / "train.csv", train);
    write_file(folder / "test.csv", test);
  }
  ~Sheet() { fs::remove_all(folder); }

  job::ColumnRule& rule(const std::string& name) {
    job.data.columns.emplace_back().names = {name};
    return job.data.columns.back();
  }
  std::vector<std::vector<float>> rows(Part part, const Encoding& encoding) const {
    const auto loaded = load(job, encoding, part, "");
    std::vector<std::uint32_t> numbers(static_cast<std::size_t>(loaded->count()));
    std::iota(numbers.begin(), numbers.end(), 0u);
    Arena features(loaded->count() * loaded->width());
    std::vector<float> targets(numbers.size());
    const Matrix matrix(features.data(), loaded->count(), loaded->width());
    loaded->gather(numbers, matrix, targets);
    std::vector<std::vector<float>> out;
    for (Index r = 0; r < loaded->count(); ++r) out.emplace_back(matrix.row(r), matrix.row(r) + loaded->width());
    return out;
  }
  std::vector<std::vector<float>> train() const { return rows(Part::train, survey(job).encoding); }
  std::vector<std::vector<float>> test() const { return rows(Part::test, survey(job).encoding); }
  std::string refused() const {
    try {
      survey(job);
    } catch (const Error& error) {
      CHECK(error.kind() == Kind::data);
      return error.what();
    }
    FAIL_CHECK("nothing was refused");
    return {};
  }

  fs::path folder;
  job::Job job;
};

using Table2 = std::vector<std::vector<float>>;

double part(const char* date, job::DatePart which) {
  const auto parsed = parse_date(date);
  REQUIRE(parsed.has_value());
  return part_of(*parsed, which);
}

}  // namespace

TEST_CASE("dates are read in every form that is promised, and their parts are those of the calendar") {
  using P = job::DatePart;
  CHECK(part("1970-01-01", P::days) == 0);
  CHECK(part("1970-01-01", P::weekday) == 3);  // a Thursday
  CHECK(part("2024-02-29T18:30:00", P::hour) == 18);
  CHECK(part("2024-02-29 18:30", P::minute) == 30);
  CHECK(part("2024-02-29T18:30:00Z", P::days) == doctest::Approx(19782 + 18.5 / 24));
  CHECK(part("2024-12-31", P::day_of_year) == 366);
  CHECK(part("1900-03-01", P::day_of_year) == 60);  // 1900 had no leap day
  CHECK(part("1969-12-31", P::days) == -1);
  CHECK(part("1969-12-31", P::weekday) == 2);
  CHECK(part("0001-01-01", P::days) == -719162);
  CHECK(part("86399.5", P::days) == doctest::Approx(86399.5 / 86400));
  CHECK(part("1700000000", P::year) == 2023);
  CHECK(part("1700000000", P::month) == 11);
  CHECK(part("1700000000", P::day) == 14);
  CHECK(part("1700000000", P::minute) == 13);
  CHECK(part("-1", P::hour) == 23);
  for (const char* none : {"", "2023-02-29", "2024-13-01", "2024-00-10", "2024-1-1", "2024-01-01T24:00", "2024-01-01T",
                           "2024-01-01x", "2024-01-01T10:60", "2024-01-01T10:00:60", "2024-01-01T10:00:", "yesterday",
                           "2024-01-01T1:00", "1e300", "nan", "2024-01-01 10:00:-1"})
    CHECK_MESSAGE(!parse_date(none), none);
}

TEST_CASE("consecutive days have consecutive numbers, over two leap centuries") {
  const auto begin = static_cast<std::int64_t>(part("1899-12-31", job::DatePart::days));
  const auto end = static_cast<std::int64_t>(part("2101-01-01", job::DatePart::days));
  CHECK(end - begin == 1 + 201 * 365 + 49);
  double last_year = 1899, last_day = 365;
  for (std::int64_t day = begin + 1; day <= end; ++day) {
    const double year = part_of({day, 0}, job::DatePart::year), of_year = part_of({day, 0}, job::DatePart::day_of_year);
    REQUIRE((year == last_year ? of_year == last_day + 1 : (of_year == 1 && year == last_year + 1)));
    const std::string text = fmt::format("{:04}-{:02}-{:02}", year, part_of({day, 0}, job::DatePart::month),
                                         part_of({day, 0}, job::DatePart::day));
    REQUIRE(parse_date(text)->days == day);
    last_year = year, last_day = of_year;
  }
}

TEST_CASE("a number is filled, clipped, taken the logarithm of, scaled and fitted, in that order") {
  Sheet sheet("a,y\n1,0\n,0\n100,0\n7,0\n", "a,y\n-5,0\n,0\n");
  job::ColumnRule& rule = sheet.rule("a");
  rule.missing = job::Missing::median;  // 7
  CHECK(sheet.train() == Table2{{1}, {7}, {100}, {7}});
  rule.low = 2, rule.high = 50;
  CHECK(sheet.train() == Table2{{2}, {7}, {50}, {7}});
  rule.log = job::Logarithm::log1p;
  const auto f = [](double x) { return static_cast<float>(x); };
  CHECK(sheet.train() ==
        Table2{{f(std::log1p(2.0))}, {f(std::log1p(7.0))}, {f(std::log1p(50.0))}, {f(std::log1p(7.0))}});
  rule.log = job::Logarithm::none;
  rule.scale = 0.5;
  CHECK(sheet.train() == Table2{{1}, {3.5}, {25}, {3.5}});
  CHECK(sheet.test() == Table2{{1}, {3.5}});
  rule.fit = job::Fit::min_max;
  CHECK(sheet.train() == Table2{{0}, {f(2.5f * f(1 / 24.0))}, {1}, {f(2.5f * f(1 / 24.0))}});
  rule.missing = job::Missing::constant, rule.value = 2, rule.fit = job::Fit::none;
  CHECK(sheet.test() == Table2{{1}, {1}});
  rule.missing = job::Missing::mean;  // 36
  CHECK(sheet.test() == Table2{{1}, {18}});
}

TEST_CASE("of an even number of values the median is the mean of the middle two") {
  Sheet sheet("a,y\n9,0\n1,0\n,0\n4,0\n3,0\n", "a,y\n,0\n");
  sheet.rule("a").missing = job::Missing::median;
  CHECK(sheet.test() == Table2{{3.5}});
}

TEST_CASE("a column's own fit goes before that of all") {
  Sheet sheet("a,b,c,y\n0,0,x,0\n4,4,y,0\n", "a,b,c,y\n2,2,x,0\n");
  sheet.job.data.normalize.features = job::Fit::min_max;
  sheet.rule("b").fit = job::Fit::none;
  CHECK(sheet.test() == Table2{{0.5, 2, 1, 0}});
  sheet.rule("a").fit = job::Fit::standardize;
  CHECK(sheet.train() == Table2{{-1, 0, 1, 0}, {1, 4, 0, 1}});
}

TEST_CASE("numbers declared a category become one feature each, unseen ones none, and that is told once") {
  Sheet sheet("a,y\n3,0\n1,0\n,0\n3,0\n", "a,y\n1,0\n2,0\n7,0\n");
  sheet.rule("a").as = job::ColumnAs::category;
  CHECK(sheet.train() == Table2{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 0, 0}});
  CHECK(sheet.test() == Table2{{0, 1, 0}, {0, 0, 0}, {0, 0, 0}});
  const std::vector<std::string> remarks = survey(sheet.job).facts.remarks;
  REQUIRE(remarks.size() == 1);
  CHECK(remarks[0].find("column 'a': 2 of 3 rows have values that the training rows lack, such as '2'") == 0);
  sheet.job.data.columns[0].missing = job::Missing::error;
  CHECK(sheet.refused().find("train.csv:4:1: column 'a' has no value here") != std::string::npos);
}

TEST_CASE("hashed values share buckets that depend on column and value alone, and rows are sparse") {
  Sheet sheet("a,b,y\nu,u,0\nv,2,0\n", "a,b,y\nw,u,0\n");
  for (const char* name : {"a", "b"}) {
    job::ColumnRule& rule = sheet.rule(name);
    rule.as = job::ColumnAs::hash;
    rule.buckets = 1000;
  }
  const Encoding encoding = survey(sheet.job).encoding;
  CHECK(encoding.width == 2000);
  const Table2 train = sheet.train(), test = sheet.test();
  for (const auto& row : train) CHECK(std::accumulate(row.begin(), row.end(), 0.0f) == 2);
  CHECK(train[0][static_cast<std::size_t>(bucket_of("a", "u", 1000))] == 1);
  CHECK(train[0][static_cast<std::size_t>(1000 + bucket_of("b", "u", 1000))] == 1);
  CHECK(test[0][static_cast<std::size_t>(bucket_of("a", "w", 1000))] == 1);
  CHECK(bucket_of("a", "u", 1000) != bucket_of("b", "u", 1000));
  const auto loaded = load(sheet.job, encoding, Part::train, "");
  REQUIRE(loaded->sparse());
  SparseBatch batch;
  std::vector<float> targets(2);
  loaded->gather_sparse(std::vector<std::uint32_t>{1, 0}, batch, targets);
  CHECK(batch.begins == std::vector<std::uint32_t>{0, 2, 4});
  for (std::size_t i = 0; i < batch.indices.size(); ++i)
    CHECK(train[i < 2 ? 1 : 0][batch.indices[i]] == batch.values[i]);
}

TEST_CASE("buckets of a hash are filled about evenly") {
  std::vector<int> filled(64, 0);
  for (int i = 0; i < 6400; ++i) ++filled[static_cast<std::size_t>(bucket_of("user", std::to_string(i), 64))];
  for (const int values : filled) CHECK(std::abs(values - 100) < 50);
}

TEST_CASE(
    "a date becomes its parts, a missing one what stands for each part, and what is none is told with its place") {
  Sheet sheet("d,y\n2024-02-29T06:00,0\n1970-01-01,0\n,0\n", "d,y\n86400,0\n");
  job::ColumnRule& rule = sheet.rule("d");
  rule.as = job::ColumnAs::date;
  rule.parts = {job::DatePart::year, job::DatePart::hour};
  CHECK(sheet.refused().find("train.csv:4:1: column 'd' has no value here") != std::string::npos);
  rule.missing = job::Missing::mean;
  CHECK(sheet.train() == Table2{{2024, 6}, {1970, 0}, {1997, 3}});
  CHECK(sheet.test() == Table2{{1970, 0}});
  rule.fit = job::Fit::min_max;
  CHECK(sheet.train() == Table2{{1, 1}, {0, 0}, {0.5, 0.5}});
  write_file(sheet.folder / "test.csv", std::string("d,y\n1970-01-01,0\n1970-02-30,0\n"));
  CHECK(sheet.refused().find("test.csv:3:1: column 'd' must be a date, such as 2024-02-29") != std::string::npos);
  CHECK(sheet.refused().find("got '1970-02-30'") != std::string::npos);
}

TEST_CASE("a number without a logarithm is told with its place, in test rows too") {
  Sheet sheet("a,y\n1,0\n2,0\n", "a,y\n3,0\n-2,0\n");
  sheet.rule("a").log = job::Logarithm::log;
  CHECK(sheet.refused().find("test.csv:3:1: column 'a': -2 has no logarithm; clip_low") != std::string::npos);
  sheet.job.data.columns[0].low = 1;
  CHECK(sheet.test() == Table2{{static_cast<float>(std::log(3.0))}, {0}});
}

TEST_CASE("an entry is refused that means the target, or a column that has another") {
  Sheet sheet("a,y\n1,0\n2,0\n", "a,y\n3,0\n");
  sheet.rule("y").fit = job::Fit::standardize;
  CHECK(sheet.refused().find("'y' is the target") != std::string::npos);
  sheet.job.data.columns.clear();
  sheet.rule("a");
  sheet.rule("1");
  CHECK(sheet.refused().find("'a' and '1' are the same column") != std::string::npos);
}

namespace {

/// Every transformation at once.
Sheet everything(const std::string& test) {
  Sheet sheet("n,c,h,d,l,y\n1,x,u,2024-01-01,10,1\n,y,v,2023-06-05,,2\n7,,w,,1000,3\n3,x,,1999-01-01,5,4\n", test);
  sheet.job.data.normalize.features = job::Fit::standardize;
  sheet.job.data.csv.missing = job::Missing::mean;
  sheet.rule("n").missing = job::Missing::median;
  sheet.rule("h").as = job::ColumnAs::hash;
  sheet.rule("d").as = job::ColumnAs::date;
  job::ColumnRule& l = sheet.rule("l");
  l.low = 1, l.high = 500, l.log = job::Logarithm::log, l.scale = 3, l.fit = job::Fit::min_max;
  return sheet;
}

}  // namespace

TEST_CASE("fitting looks at training rows only: other test rows change nothing of the encoding") {
  const Sheet one = everything("n,c,h,d,l,y\n1,x,u,2024-01-01,10,1\n");
  const Sheet other = everything("n,c,h,d,l,y\n-1e6,z,q,1800-01-01,1e9,50\n,,,,,7\n");
  CHECK(survey(one.job).encoding.to_json() == survey(other.job).encoding.to_json());
  job::Job held = one.job;
  held.data.test = {};
  held.data.holdout = 0.25;
  const Encoding before = survey(held).encoding;
  const auto kept = load(held, before, Part::test, "")->targets();
  REQUIRE(kept.size() == 1);
}

TEST_CASE("an encoding that was saved and read again gives the same bits") {
  const Sheet sheet = everything("n,c,h,d,l,y\n2,z,q,2001-01-01,77,50\n,,,,,7\n");
  const Encoding encoding = survey(sheet.job).encoding;
  const Encoding again = Encoding::from_json(Json::parse(encoding.to_json().dump()));
  for (const Part which : {Part::train, Part::test}) CHECK(sheet.rows(which, encoding) == sheet.rows(which, again));
  CHECK(again.to_json() == encoding.to_json());
}

TEST_CASE("an encoding of the first version is read as it was meant, a newer one than ours is refused") {
  Json old = Json::parse(R"({"format": "csv", "width": 3, "target": "y", "classes": [], "target_shift": 0,
    "target_scale": 1, "shift": [0], "scale": [1], "columns": [{"name": "a", "levels": [], "fill": 0.5},
    {"name": "c", "levels": ["x", ""], "fill": null}]})");
  const Encoding encoding = Encoding::from_json(old);
  CHECK(encoding.columns[0].as == job::ColumnAs::number);
  CHECK(encoding.columns[1].as == job::ColumnAs::category);
  CHECK(encoding.columns[1].features() == 2);
  old["version"] = 3;
  CHECK_THROWS_AS(Encoding::from_json(old), Error);
  old["version"] = 2;
  old["columns"][0]["as"] = "hash";
  CHECK_THROWS_AS(Encoding::from_json(old), Error);
}

}  // namespace dtrain::data
