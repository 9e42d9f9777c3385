#pragma once
/// Which columns of a CSV file are read, and as what: from its header, the job, and of test rows the training's
/// columns.

#include <set>
#include <string>
#include <vector>

#include "data/csv.hpp"
#include "data/schema.hpp"

namespace dtrain::data {

/// What a column is: decided by its cells, unless it is declared.
enum class CellKind { automatic, number, text };

struct CsvColumns {
  static constexpr std::size_t nowhere = ~std::size_t{0};
  struct Wanted {
    std::string name;
    std::size_t field = 0;  ///< its place in a record, from 0
    CellKind kind = CellKind::automatic;
  };
  std::vector<Wanted> columns;
  std::string target_name;
  std::size_t target = nowhere;
  std::size_t fields = 0;  ///< of every record
};

/// `header`: the first record. `schema` null: all columns but the target and what is ignored, in the file's order.
/// Throws Error(Kind::data) with `file`.
CsvColumns choose_columns(const std::vector<Field>& header, const std::string& file, const job::Data& data,
                          const Schema* schema);

}  // namespace dtrain::data
