#pragma once
/// From the files that a job names to a table: the one place that knows all formats.

#include "data/data.hpp"
#include "data/schema.hpp"
#include "data/table.hpp"

namespace dtrain::data {

/// The rows of a part as their files say them, before anything is fitted: test rows by the columns of the training
/// rows, which `train` is then. nullopt: the job has no files for that part.
std::optional<Table> raw_part(const job::Job& job, Part part, const Table* train);

/// `schema` null: these are training rows, whose columns are taken as they are. Throws Error(Kind::data).
Table read_files(const job::Data& data, const job::Files& files, const Schema* schema);

}  // namespace dtrain::data
