#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "base/error.hpp"
#include "data/division.hpp"
#include "data/shards.hpp"

namespace dtrain::data {
namespace {

/// Rows that have nothing but a class.
class Classes final : public Rows {
 public:
  explicit Classes(const std::vector<std::uint32_t>& classes) : targets_(classes.begin(), classes.end()) {}
  Index count() const override { return std::ssize(targets_); }
  Index width() const override { return 1; }
  void gather(std::span<const std::uint32_t>, Matrix, std::span<float>) const override {}
  bool sparse() const override { return false; }
  void gather_sparse(std::span<const std::uint32_t>, SparseBatch&, std::span<float>) const override {}
  std::span<const float> targets() const override { return targets_; }
  Table table(std::span<const std::uint32_t>) const override { fail(Kind::internal, "there is no table"); }
  std::size_t bytes() const override { return 0; }

 private:
  std::vector<float> targets_;
};

std::vector<std::string> names(std::size_t number) {
  std::vector<std::string> out;
  for (std::size_t c = 0; c < number; ++c) out.push_back("class " + std::to_string(c));
  return out;
}

std::vector<std::uint32_t> draw_classes(std::mt19937_64& random, std::size_t rows, std::size_t number) {
  std::vector<std::uint32_t> classes(rows);
  for (std::uint32_t& c : classes) c = static_cast<std::uint32_t>(random() % number);
  return classes;
}

std::vector<int> ranks(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

job::Job sharded(job::PartitionBy by, int workers, std::uint64_t seed) {
  job::Job job;
  job.seed = seed;
  job.train.batch = 32;
  job.topology.workers = workers;
  job.data.sharing = job::Sharing::shard;
  job.data.partition = {by, 2};
  return job;
}

Index total(const std::vector<Index>& rows) { return std::accumulate(rows.begin(), rows.end(), Index{0}); }

/// Share of a worker's rows that are of its largest class, over all workers.
double purity(const Shards& shards) {
  Index largest = 0, all = 0;
  for (const auto& rows : shards.rows) largest += *std::max_element(rows.begin(), rows.end()), all += total(rows);
  return static_cast<double>(largest) / static_cast<double>(all);
}

constexpr job::PartitionBy everything[] = {job::PartitionBy::stride, job::PartitionBy::contiguous,
                                           job::PartitionBy::hash, job::PartitionBy::label,
                                           job::PartitionBy::dirichlet};

}  // namespace

TEST_CASE("every partition visits each row once an epoch, from the shard that holds it, losses and all") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const int workers = 1 + static_cast<int>(random() % 5);
    const std::size_t rows = 150 + random() % 300;
    const auto classes = draw_classes(random, rows, 1 + random() % 7);
    job::Job job = sharded(everything[seed % std::size(everything)], workers, seed);
    job.train.batch = 1 + static_cast<Index>(random() % 90);
    job.data.shuffle = random() % 2 == 0;
    Facts facts{static_cast<Index>(rows), 0, "", {}};
    facts.shards = cut_shards(job, classes, names(7));
    CAPTURE(seed);
    Division division(job, facts, ranks(workers)), counts(job, facts, ranks(workers));
    division.know(Classes(classes));
    std::vector<int> active = ranks(workers);
    std::vector<int> visits(rows, 0);
    std::vector<Index> own(static_cast<std::size_t>(workers), 0);
    for (Index step = 0; step < division.steps_per_epoch(); ++step) {
      if (active.size() > 1 && random() % 8 == 0) {
        active.erase(active.begin() + static_cast<std::ptrdiff_t>(random() % active.size()));
        division.set_active(active);
        counts.set_active(active);
      }
      for (const int rank : active) {
        const auto mine = division.rows(step, rank);
        REQUIRE(std::ssize(mine) == counts.count(step, rank));
        for (const std::uint32_t row : mine) ++visits.at(row);
        own[static_cast<std::size_t>(rank)] += std::ssize(mine);
      }
    }
    REQUIRE(std::all_of(visits.begin(), visits.end(), [](int n) { return n == 1; }));
    if (std::ssize(active) < workers) continue;
    for (std::size_t i = 0; i < own.size(); ++i) REQUIRE(own[i] == total(facts.shards.rows[i]));
  }
}

TEST_CASE("the rows of a shard are those that its counts say, class by class") {
  std::mt19937_64 random(7);
  const auto classes = draw_classes(random, 1000, 4);
  for (const job::PartitionBy by : everything) {
    const job::Job job = sharded(by, 6, 3);
    const Shards shards = cut_shards(job, classes, names(4));
    const auto rows = shard_rows(by, job.seed, 1000, classes, shards);
    std::size_t at = 0;
    for (const auto& counts : shards.rows) {
      std::vector<Index> found(4, 0);
      for (Index k = 0; k < total(counts); ++k) ++found[classes[rows.at(at++)]];
      CHECK(found == counts);
    }
    CHECK(at == 1000);
    CHECK(cut_shards(job, classes, names(4)) == shards);
  }
}

TEST_CASE("shards by hash are as even as chance allows, and another seed deals others") {
  const Index rows = 80000, workers = 8;
  const std::vector<std::uint32_t> classes(static_cast<std::size_t>(rows), 0);
  const Shards shards = cut_shards(sharded(job::PartitionBy::hash, workers, 1), classes, {"rows"});
  for (const auto& counts : shards.rows) CHECK(std::abs(total(counts) - rows / workers) < 5 * 94);  // 5 deviations
  CHECK(cut_shards(sharded(job::PartitionBy::hash, workers, 2), classes, {"rows"}) != shards);
}

TEST_CASE("shards by label are equally long and hold a few neighbouring classes") {
  std::mt19937_64 random(5);
  const auto classes = draw_classes(random, 5000, 10);
  const Shards shards = cut_shards(sharded(job::PartitionBy::label, 5, 1), classes, names(10));
  for (const auto& counts : shards.rows) {
    CHECK(total(counts) == 1000);
    CHECK(std::count_if(counts.begin(), counts.end(), [](Index n) { return n > 0; }) <= 4);
  }
}

TEST_CASE("a small alpha gives workers few classes, a large one gives all the same mixture") {
  std::mt19937_64 random(9);
  const auto classes = draw_classes(random, 20000, 10);
  job::Job job = sharded(job::PartitionBy::dirichlet, 4, 11);
  const auto at = [&](double alpha) {
    job.data.partition.alpha = alpha;
    return cut_shards(job, classes, names(10));
  };
  CHECK(purity(at(0.1)) > 0.3);
  CHECK(purity(at(1000)) < 0.13);
  CHECK(purity(at(0.1)) > purity(at(1)));
  CHECK(purity(at(1)) > purity(at(100)));
  for (const auto& counts : at(10000).rows) CHECK(std::abs(total(counts) - 5000) < 150);
}

TEST_CASE("shares of a class have the mean and the spread of a Dirichlet distribution") {
  job::Job job = sharded(job::PartitionBy::dirichlet, 4, 1);
  const Index rows = 100000;
  const std::vector<std::uint32_t> classes(static_cast<std::size_t>(rows), 0);
  for (const double alpha : {1.0, 4.0}) {
    job.data.partition.alpha = alpha;
    double sum = 0, squares = 0;
    const int draws = 300;
    for (int seed = 0; seed < draws; ++seed) {
      job.seed = static_cast<std::uint64_t>(seed);
      const double share = static_cast<double>(total(cut_shards(job, classes, {"rows"}).rows[0])) / rows;
      sum += share, squares += share * share;
    }
    const double mean = sum / draws, variance = squares / draws - mean * mean;
    CHECK(mean == doctest::Approx(0.25).epsilon(0.15));
    CHECK(variance == doctest::Approx(0.25 * 0.75 / (4 * alpha + 1)).epsilon(0.25));
  }
}

TEST_CASE("a worker that would have no rows is named, with what helps") {
  job::Job job = sharded(job::PartitionBy::dirichlet, 30, 1);
  job.data.partition.alpha = 0.01;
  const std::vector<std::uint32_t> classes(100, 0);
  try {
    cut_shards(job, classes, {"rows"});
    FAIL("29 workers without rows passed");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::data);
    CHECK(std::string(error.what()).find("leaves worker ") != std::string::npos);
    CHECK(std::string(error.what()).find("raise data.partition.alpha, now 0.01") != std::string::npos);
  }
  CHECK_THROWS_AS(Division(job, 100, {0}), Error);
}

}  // namespace dtrain::data
