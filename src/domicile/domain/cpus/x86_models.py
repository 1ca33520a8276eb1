"""The x86 CPU models and their features. Written by scripts/cpu-models, read through `cpus/x86`.

Source: facts of the CPU map that libvirt 9.0 installs, of QEMU 7.2's models, and of the models that came later.
"""

from __future__ import annotations

# All features, in the order in which they are listed.
FEATURES = """
fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 pn clflush ds acpi mmx fxsr sse sse2 ss
ht tm ia64 pbe pni pclmuldq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid fma cx16 xtpr pdcm pcid dca sse4.1
sse4.2 x2apic movbe popcnt tsc-deadline aes xsave osxsave avx f16c rdrand hypervisor arat fsgsbase tsc_adjust
sgx bmi1 hle avx2 smep bmi2 erms invpcid rtm cmt mpx avx512f avx512dq rdseed adx smap avx512ifma pcommit
clflushopt clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw avx512vl avx512vbmi umip pku ospke waitpkg
avx512vbmi2 gfni vaes vpclmulqdq avx512vnni avx512bitalg avx512-vpopcntdq la57 rdpid bus-lock-detect cldemote
movdiri movdir64b sgxlc pks avx512-4vnniw avx512-4fmaps fsrm avx512-vp2intersect md-clear serialize tsx-ldtrk
pconfig arch-lbr amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp flush-l1d arch-capabilities
core-capability ssbd avx-vnni avx512-bf16 cmpccxadd fzrm fsrs fsrc fred lkgs wrmsrns amx-fp16 avx-ifma lam
avx-vnni-int8 avx-ne-convert amx-complex avx-vnni-int16 prefetchiti avx10 sha512 sm3 sm4 intel-psfd ipred-ctrl
rrsba-ctrl ddpd-u bhi-ctrl mcdt-no xsaveopt xsavec xgetbv1 xsaves xfd mbm_total mbm_local sgx1 sgx2 sgx-exinfo
sgx-debug sgx-mode64 sgx-provisionkey sgx-tokenkey sgx-kss intel-pt-lip syscall nx mmxext fxsr_opt pdpe1gb
rdtscp lm 3dnowext 3dnow lahf_lm cmp_legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs
xop skinit wdt lwp fma4 tce cvt16 nodeid_msr tbm topoext perfctr_core perfctr_nb overflow-recov succor invtsc
clzero xsaveerptr wbnoinvd ibpb ibrs amd-stibp stibp-always-on amd-ssbd virt-ssbd amd-no-ssb amd-psfd npt lbrv
svm-lock nrip-save tsc-scale vmcb-clean flushbyasid decodeassists pause-filter pfthreshold avic v-vmsave-vmload
vgif vnmi svme-addr-chk no-nested-data-bp fs-gs-base-ns lfence-always-serializing null-sel-clr-base auto-ibrs
prefetchi sbpb ibpb-brtype srso-no srso-user-kernel-no perfmon-v2 rdctl-no ibrs-all rsba skip-l1dfl-vmentry
ssb-no mds-no pschange-mc-no tsx-ctrl taa-no sbdr-ssdp-no fbsdp-no psdp-no fb-clear pbrsb-no gds-no rfds-no
rfds-clear bhi-no its-no split-lock-detect
"""

# A model: its name, vendor (or -), signatures as family/model or family/model:steppings (or -), whether it stands for hosts'
# CPUs (guest) or only where it is named (named), the model it is derived from (or -), and what it has more (+) and less (-)
# than that one; ! is a feature it had when it was new and has no more.
MODELS = """
486 - - guest - +fpu +vme +pse
pentium - - guest 486 +de +tsc +msr +mce +cx8 +mmx
pentium2 - - guest pentium +pae +sep +mtrr +pge +mca +cmov +pat +pse36 +fxsr
pentium3 - - guest pentium2 +sse
pentiumpro - - guest pentium3 +apic +sse2 -vme -mtrr -mca -pse36
coreduo Intel - guest pentium3 +apic +clflush +sse2 +pni +monitor +nx -pse36
n270 Intel - guest coreduo +ssse3
core2duo Intel - guest n270 +pse36 +syscall +lm
qemu32 - - guest pentiumpro +pni
kvm32 - - guest coreduo +pse36 -vme -monitor -nx
cpu64-rhel5 - - named core2duo -vme -monitor -ssse3
cpu64-rhel6 - - named cpu64-rhel5 +cx16 +lahf_lm
qemu64 - - guest cpu64-rhel5 +cx16 +svm
kvm64 - - guest cpu64-rhel5 +cx16
Conroe Intel 6/15,6/22 guest cpu64-rhel5 +ssse3 +lahf_lm
Penryn Intel 6/23,6/29 guest cpu64-rhel6 +ssse3 +sse4.1
Nehalem Intel 6/26,6/30,6/31,6/46 guest Penryn +sse4.2 +popcnt
Nehalem-IBRS Intel 6/26,6/30,6/31,6/46 guest Nehalem +spec-ctrl
Westmere Intel 6/44,6/47,6/37 guest Nehalem +aes
Westmere-IBRS Intel 6/44 guest Nehalem-IBRS +aes
SandyBridge Intel 6/42,6/45 guest Westmere +pclmuldq +x2apic +tsc-deadline +xsave +avx +rdtscp
SandyBridge-IBRS Intel 6/42,6/45 guest SandyBridge +spec-ctrl
IvyBridge Intel 6/58,6/62 guest SandyBridge +vme +f16c +rdrand +fsgsbase +smep +erms
IvyBridge-IBRS Intel 6/58,6/62 guest IvyBridge +spec-ctrl
Haswell-noTSX Intel 6/60,6/63,6/69,6/70 guest SandyBridge +fma +pcid +movbe +fsgsbase +bmi1 +avx2 +smep +bmi2
    +erms +invpcid
Haswell-noTSX-IBRS Intel 6/60,6/63,6/69,6/70 guest Haswell-noTSX +spec-ctrl
Haswell Intel 6/60,6/63,6/69,6/70 guest Haswell-noTSX +hle +rtm
Haswell-IBRS Intel 6/60,6/63,6/69,6/70 guest Haswell +spec-ctrl
Broadwell-noTSX Intel 6/61,6/71,6/79,6/86 guest Haswell-noTSX +rdseed +adx +smap +3dnowprefetch
Broadwell-noTSX-IBRS Intel 6/61,6/71,6/79,6/86 guest Broadwell-noTSX +spec-ctrl
Broadwell Intel 6/61,6/71,6/79,6/86 guest Broadwell-noTSX +hle +rtm
Broadwell-IBRS Intel 6/61,6/71,6/79,6/86 guest Broadwell +spec-ctrl
Skylake-Client Intel 6/94,6/78,6/142,6/158 guest Broadwell +vme +f16c +rdrand +arat +xsaveopt +xsavec +xgetbv1
    +abm !mpx
Skylake-Client-IBRS Intel 6/94,6/78,6/142,6/158 guest Skylake-Client +spec-ctrl !mpx
Skylake-Client-noTSX-IBRS Intel 6/94,6/78,6/142,6/158 named Skylake-Client-IBRS -hle -rtm !mpx
Skylake-Server Intel 6/85:0-4 guest Skylake-Client +avx512f +avx512dq +clwb +avx512cd +avx512bw +avx512vl
    +pdpe1gb !mpx
Skylake-Server-IBRS Intel 6/85:0-4 guest Skylake-Server +spec-ctrl !mpx
Skylake-Server-noTSX-IBRS Intel 6/85:0-4 named Skylake-Server-IBRS -hle -rtm !mpx
Cascadelake-Server Intel 6/85:5-7 guest Skylake-Server-IBRS +clflushopt +avx512vnni +ssbd !mpx
Cascadelake-Server-noTSX Intel 6/85:5-7 named Cascadelake-Server -hle -rtm !mpx
Icelake-Client Intel 6/126 guest Skylake-Client-IBRS +avx512vbmi +umip +pku +avx512vbmi2 +gfni +vaes +vpclmulqdq
    +avx512vnni +avx512bitalg +avx512-vpopcntdq +ssbd +wbnoinvd !mpx !intel-pt
Icelake-Client-noTSX Intel 6/126 named Icelake-Client -hle -rtm !mpx !intel-pt
Icelake-Server Intel 6/106 guest Icelake-Client +avx512f +avx512dq +clflushopt +clwb +avx512cd +avx512bw
    +avx512vl +la57 +pdpe1gb !mpx !intel-pt
Icelake-Server-noTSX Intel 6/106 named Icelake-Server -hle -rtm !mpx !intel-pt
Cooperlake Intel 6/85:10-11 guest Cascadelake-Server +pku +stibp +arch-capabilities +avx512-bf16 +rdctl-no
    +ibrs-all +skip-l1dfl-vmentry +mds-no +pschange-mc-no +taa-no
Snowridge Intel 6/134 guest IvyBridge-IBRS +movbe +arat +rdseed +smap +clflushopt +clwb +sha-ni +umip +gfni
    +cldemote +movdiri +movdir64b +arch-capabilities +core-capability +ssbd +xsaveopt +xsavec +xgetbv1 +pdpe1gb
    +3dnowprefetch +split-lock-detect -avx -f16c
Denverton Intel 6/95 guest Snowridge +mpx +rdctl-no +skip-l1dfl-vmentry -clwb -umip -gfni -cldemote -movdiri
    -movdir64b -core-capability -split-lock-detect
SapphireRapids Intel 6/143 guest Icelake-Server +avx512ifma +sha-ni +rdpid +bus-lock-detect +fsrm +serialize
    +tsx-ldtrk +amx-bf16 +avx512-fp16 +amx-tile +amx-int8 +arch-capabilities +avx-vnni +avx512-bf16 +fzrm +fsrs
    +fsrc +xsaves +xfd +rdctl-no +ibrs-all +skip-l1dfl-vmentry +mds-no +pschange-mc-no +taa-no
GraniteRapids Intel 6/173 guest SapphireRapids +amx-fp16 +prefetchiti +mcdt-no +sbdr-ssdp-no +fbsdp-no +psdp-no
    +pbrsb-no
SierraForest Intel 6/175 guest GraniteRapids +cmpccxadd +avx-ifma +avx-vnni-int8 +avx-ne-convert -hle -rtm
    -avx512f -avx512dq -avx512ifma -avx512cd -avx512bw -avx512vl -avx512vbmi -avx512vbmi2 -avx512vnni -avx512bitalg
    -avx512-vpopcntdq -la57 -tsx-ldtrk -amx-bf16 -avx512-fp16 -amx-tile -amx-int8 -avx512-bf16 -fzrm -fsrc -amx-fp16
    -prefetchiti -xfd -taa-no
athlon AMD - guest pentium3 +apic +sse2 +mmxext +3dnowext +3dnow -mca
phenom AMD - guest cpu64-rhel5 +monitor +mmxext +fxsr_opt +3dnowext +3dnow +svm
Opteron_G1 AMD 15/6 guest cpu64-rhel5
Opteron_G2 AMD 15/6 guest cpu64-rhel6 +rdtscp +svm
Opteron_G3 AMD 15/6 guest Opteron_G2 +popcnt +abm +sse4a +misalignsse !monitor
Opteron_G4 AMD 21/1 guest SandyBridge +pdpe1gb +svm +abm +sse4a +misalignsse +3dnowprefetch +xop +fma4 -x2apic
    -tsc-deadline
Opteron_G5 AMD 21/2 guest Opteron_G4 +fma +f16c +tbm
EPYC AMD 23/1 guest Skylake-Client-noTSX-IBRS +clflushopt +sha-ni +mmxext +fxsr_opt +pdpe1gb +svm +cr8legacy
    +sse4a +misalignsse +osvw -pcid -x2apic -tsc-deadline -erms -invpcid -spec-ctrl !monitor
EPYC-IBPB AMD 23/1 guest EPYC +ibpb !monitor
EPYC-Rome AMD 23/49 guest EPYC-IBPB +clwb +umip +rdpid +perfctr_core +clzero +xsaveerptr +wbnoinvd +amd-stibp
    +npt +nrip-save
EPYC-Milan AMD 25/1 guest EPYC-Rome +pcid +erms +invpcid +pku +fsrm +xsaves +ibrs +amd-ssbd +svme-addr-chk
EPYC-Genoa AMD 25/17 guest EPYC-Milan +avx512f +avx512dq +avx512ifma +avx512cd +avx512bw +avx512vl +avx512vbmi
    +avx512vbmi2 +gfni +vaes +vpclmulqdq +avx512vnni +avx512bitalg +avx512-vpopcntdq +la57 +avx512-bf16
    +stibp-always-on +amd-psfd +vnmi +no-nested-data-bp +lfence-always-serializing +null-sel-clr-base +auto-ibrs
EPYC-Turin AMD 26/0 guest EPYC-Genoa +movdiri +movdir64b +avx512-vp2intersect +avx-vnni +overflow-recov +succor
    +lbrv +tsc-scale +vmcb-clean +flushbyasid +pause-filter +pfthreshold +v-vmsave-vmload +vgif +fs-gs-base-ns
    +prefetchi +sbpb +ibpb-brtype +srso-user-kernel-no +perfmon-v2
Dhyana Hygon 24/0 guest EPYC-IBPB -pclmuldq -aes -sha-ni !monitor
"""
