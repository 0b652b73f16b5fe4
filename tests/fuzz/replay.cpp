/// Runs a fuzz target over the files of a directory: every input that once told something is a test.

#include "tests/fuzz/input.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

int main(int count, char** arguments)
{
    int files = 0;
    for (int index = 1; index < count; ++index) {
        for (const auto& entry : std::filesystem::directory_iterator(arguments[index])) {
            std::ifstream file(entry.path(), std::ios::binary);
            const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            std::fprintf(stderr, "%s\n", entry.path().c_str());
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
            ++files;
        }
    }
    if (files == 0) {
        std::fprintf(stderr, "there is no input to run\n");
    }
    return files == 0 ? 1 : 0;
}
