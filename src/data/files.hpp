#pragma once
/// From the files that a job names to a table: the one place that knows all formats, patterns and the cache.

#include <string>

#include "data/data.hpp"
#include "data/schema.hpp"
#include "data/table.hpp"

namespace dtrain::data {

/// The rows of a part as their files say them, before anything is fitted: test rows by the columns of the training
/// rows, which `train` is then. nullopt: the job has no files for that part.
std::optional<Table> raw_part(const job::Job& job, Part part, const Table* train);

/// How files are read, beside what the job says of their format.
struct Reading {
  const Schema* schema = nullptr;  ///< null: these are training rows, whose columns are taken as they are
  bool numeric_target = false;     ///< a row whose target is no number cannot be used
  std::string expected_hash;       ///< of Table::hash(), if it is known: shared files are then found by it
};

/// Throws Error(Kind::data).
Table read_files(const job::Data& data, const job::Files& files, const Reading& reading);

}  // namespace dtrain::data
