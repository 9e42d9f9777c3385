#include "data/shards.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"
#include "data/portion.hpp"
#include "job/places.hpp"

namespace dtrain::data {
namespace {

using Counts = std::vector<Index>;

Counts count_classes(std::span<const std::uint32_t> classes, std::size_t number) {
  Counts counts(number, 0);
  for (const std::uint32_t c : classes) ++counts.at(c);
  return counts;
}

/// log of a draw from Gamma(alpha, 1): Marsaglia and Tsang 2000, with their step below alpha 1. In logarithms, for a
/// small alpha draws numbers that no double holds.
double log_gamma_draw(double alpha, std::uint64_t seed, std::uint32_t which, std::uint64_t shard) {
  const double above = alpha < 1 ? alpha + 1 : alpha, d = above - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (std::uint32_t round = 0;; ++round) {
    const Block bits = draw(seed, Purpose::partition, which, shard, 2 * round);
    const Block more = draw(seed, Purpose::partition, which, shard, 2 * round + 1);
    const double x = normals(bits[0], bits[1])[0], v = std::pow(1 + c * x, 3);
    if (v <= 0 || std::log(1 - unit(bits[2], bits[3])) > 0.5 * x * x + d - d * v + d * std::log(v)) continue;
    const double least = std::log(1 - unit(more[0], more[1])) / alpha;
    return std::log(d * v) + (alpha < 1 ? least : 0);
  }
}

/// Shares of one class, of every shard, that sum to 1.
std::vector<double> draw_shares(const job::Job& job, std::uint32_t which, std::size_t shards) {
  std::vector<double> shares(shards);
  for (std::size_t i = 0; i < shards; ++i) shares[i] = log_gamma_draw(job.data.partition.alpha, job.seed, which, i);
  const double largest = *std::max_element(shares.begin(), shares.end());
  for (double& share : shares) share = std::exp(share - largest);
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= sum;
  return shares;
}

/// `rows` in proportion to the shares: rounded down, and one more for the largest remainders, first shard first.
Counts by_shares(Index rows, const std::vector<double>& shares) {
  Counts counts(shares.size());
  std::vector<double> remainder(shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double exact = shares[i] * static_cast<double>(rows);
    counts[i] = static_cast<Index>(exact);
    remainder[i] = exact - std::floor(exact);
  }
  std::vector<std::size_t> order(shares.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainder[a] > remainder[b]; });
  const Index left = rows - std::accumulate(counts.begin(), counts.end(), Index{0});
  for (Index i = 0; i < left; ++i) ++counts[order[static_cast<std::size_t>(i) % order.size()]];
  return counts;
}

void count_dirichlet(const job::Job& job, const Counts& of_class, Shards& out) {
  for (std::size_t c = 0; c < of_class.size(); ++c) {
    const Counts counts = by_shares(of_class[c], draw_shares(job, static_cast<std::uint32_t>(c), out.rows.size()));
    for (std::size_t i = 0; i < counts.size(); ++i) out.rows[i][c] = counts[i];
  }
}

/// Where blocks of the rows in the order of their classes meet those classes.
void count_labels(const Counts& of_class, Index rows, Shards& out) {
  const Index shards = std::ssize(out.rows);
  for (Index i = 0; i < shards; ++i) {
    const Index begin = part_begin(rows, shards, i), end = part_begin(rows, shards, i + 1);
    Index first = 0;
    for (std::size_t c = 0; c < of_class.size(); ++c) {
      const Index last = first + of_class[c];
      out.rows[static_cast<std::size_t>(i)][c] = std::max<Index>(0, std::min(end, last) - std::max(begin, first));
      first = last;
    }
  }
}

void refuse_empty(const job::Job& job, const Shards& shards) {
  for (std::size_t i = 0; i < shards.rows.size(); ++i) {
    if (std::accumulate(shards.rows[i].begin(), shards.rows[i].end(), Index{0}) > 0) continue;
    const bool drawn = job.data.partition.by == job::PartitionBy::dirichlet;
    fail(Kind::data, "data.partition leaves worker {} without training rows: {}", i,
         drawn ? fmt::format("raise data.partition.alpha, now {}, or take another seed or fewer workers",
                             job.data.partition.alpha)
               : std::string("take fewer workers, or data.partition.by: stride"));
  }
}

using Lists = std::vector<std::vector<std::uint32_t>>;  // [shard] rows

Lists deal_numbers(job::PartitionBy by, std::uint64_t seed, Index rows, Index shards) {
  Lists dealt(static_cast<std::size_t>(shards));
  for (Index row = 0; row < rows; ++row)
    dealt[shard_of(by, seed, row, rows, shards)].push_back(static_cast<std::uint32_t>(row));
  return dealt;
}

/// The rows of a class, in their order, go to the first shard until it has as many as it should, then to the next.
Lists deal_classes(std::span<const std::uint32_t> classes, const Shards& shards) {
  Lists of_class(shards.classes.size()), dealt(shards.rows.size());
  for (std::size_t row = 0; row < classes.size(); ++row)
    of_class.at(classes[row]).push_back(static_cast<std::uint32_t>(row));
  for (std::size_t c = 0; c < of_class.size(); ++c) {
    auto next = of_class[c].begin();
    for (std::size_t i = 0; i < dealt.size(); ++i) {
      if (of_class[c].end() - next < shards.rows[i].at(c))
        fail(Kind::internal, "the shards count other rows than these");
      dealt[i].insert(dealt[i].end(), next, next + shards.rows[i][c]);
      next += shards.rows[i][c];
    }
  }
  return dealt;
}

}  // namespace

bool by_class(job::PartitionBy by) { return by == job::PartitionBy::label || by == job::PartitionBy::dirichlet; }

std::vector<std::uint32_t> classes_of(std::span<const float> targets) {
  std::vector<std::uint32_t> classes;
  classes.reserve(targets.size());
  for (const float target : targets) classes.push_back(static_cast<std::uint32_t>(target));
  return classes;
}

std::size_t shard_of(job::PartitionBy by, std::uint64_t seed, Index row, Index rows, Index shards) {
  switch (by) {
    case job::PartitionBy::stride: return static_cast<std::size_t>(row % shards);
    case job::PartitionBy::hash: {
      const Block bits = draw(seed, Purpose::partition, ~0u, static_cast<std::uint64_t>(row));
      return static_cast<std::size_t>(std::uint64_t{bits[0]} * static_cast<std::uint64_t>(shards) >> 32);
    }
    case job::PartitionBy::contiguous: {
      const Index length = rows / shards, longer = rows % shards, border = longer * (length + 1);
      if (row < border) return static_cast<std::size_t>(row / (length + 1));
      return static_cast<std::size_t>(longer + (row - border) / std::max<Index>(1, length));
    }
    case job::PartitionBy::label:
    case job::PartitionBy::dirichlet: break;
  }
  fail(Kind::internal, "the number of a row does not tell its shard");
}

Shards cut_shards(const job::Job& job, std::span<const std::uint32_t> classes, std::vector<std::string> names) {
  const Index rows = std::ssize(classes), shards = job::places(job.topology);
  Shards out;
  out.rows.assign(static_cast<std::size_t>(shards), Counts(names.size(), 0));
  const Counts of_class = count_classes(classes, names.size());
  if (job.data.partition.by == job::PartitionBy::dirichlet) {
    count_dirichlet(job, of_class, out);
  } else if (job.data.partition.by == job::PartitionBy::label) {
    count_labels(of_class, rows, out);
  } else {
    for (Index row = 0; row < rows; ++row)
      ++out.rows[shard_of(job.data.partition.by, job.seed, row, rows, shards)][classes[static_cast<std::size_t>(row)]];
  }
  out.classes = std::move(names);
  refuse_empty(job, out);
  return out;
}

std::vector<std::uint32_t> shard_rows(job::PartitionBy by, std::uint64_t seed, Index rows,
                                      std::span<const std::uint32_t> classes, const Shards& shards) {
  const Lists dealt =
      by_class(by) ? deal_classes(classes, shards) : deal_numbers(by, seed, rows, std::ssize(shards.rows));
  std::vector<std::uint32_t> all;
  all.reserve(static_cast<std::size_t>(rows));
  for (const auto& mine : dealt) all.insert(all.end(), mine.begin(), mine.end());
  return all;
}

}  // namespace dtrain::data
