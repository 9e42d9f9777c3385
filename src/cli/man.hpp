#pragma once
/// The manual pages, from the catalogues of verbs and of keys.

#include <string>

namespace dtrain::cli {

/// dtrain(1)
std::string program_page();
/// dtrain-job(5)
std::string job_page();

}  // namespace dtrain::cli
