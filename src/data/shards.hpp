#pragma once
/// Which training row is whose under data.sharing: shard. Pure functions of (job, classes).
///
/// The coordinator counts (cut_shards); every role that needs row numbers deals by those counts (shard_rows), with
/// integers only: so machines whose mathematics round differently still agree.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "job/job.hpp"

namespace dtrain::data {

/// What each worker's shard holds.
struct Shards {
  std::vector<std::string> classes;      ///< names; "rows" alone, where the target is a number
  std::vector<std::vector<Index>> rows;  ///< [worker][class]
  bool operator==(const Shards&) const = default;
};

/// Whether rows are shared by their classes, which take counts to deal by.
bool by_class(job::PartitionBy by);

/// The class of each row, as its target says; for the loss of a classifier only.
std::vector<std::uint32_t> classes_of(std::span<const float> targets);

/// Shard of a row by its number alone: stride, contiguous, hash.
std::size_t shard_of(job::PartitionBy by, std::uint64_t seed, Index row, Index rows, Index shards);

/// `classes`: one a training row, each an index into `names`. label: the rows in the order of their classes, in nearly
/// equal blocks. dirichlet: every class is dealt out by shares drawn from Dirichlet(alpha, ...), largest remainder.
/// Throws Error(Kind::data) if a worker is left without rows.
/// Source: Hsu, Qi and Brown 2019 (dirichlet).
Shards cut_shards(const job::Job& job, std::span<const std::uint32_t> classes, std::vector<std::string> names);

/// The rows of shard 0, then those of shard 1 and so on, as `shards` counts them. `classes` may be empty unless
/// by_class().
std::vector<std::uint32_t> shard_rows(job::PartitionBy by, std::uint64_t seed, Index rows,
                                      std::span<const std::uint32_t> classes, const Shards& shards);

}  // namespace dtrain::data
