#pragma once

#include <string>

// Throws std::invalid_argument for an empty name.
std::string greeting(const std::string &name);
